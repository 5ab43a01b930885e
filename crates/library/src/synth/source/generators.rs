//! What is known of the width of unit generators and of methods, by their names.

/// Whether a name is one of those in a list.
pub(super) fn is_among(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// Unit generators that make two channels of one.
pub(super) const IS_TWO: &str = "\
    Pan2 LinPan2 Balance2 Rotate2 FreeVerb2 GVerb Hilbert DecodeB2
";

/// Those whose first argument says how many channels they have.
pub(super) const SAYS_HOW_MANY: &str = "\
    PlayBuf BufRd DiskIn VDiskIn TGrains GrainBuf GrainIn GrainSin GrainFM Warp1 TDuty2
    PlayBufCF
";

/// Methods of signals that give as many channels as they are called on.
pub(super) const KEEPS: &str = "\
    range exprange curverange linlin linexp explin expexp lincurve lag lag2 lag3 lagud varlag
    slew midicps cpsmidi midiratio ratiomidi ampdb dbamp tanh distort softclip clip clip2 fold
    fold2 wrap wrap2 round trunc abs neg squared cubed sqrt max min mod madd mulAdd sin cos tan
    floor ceil frac exp log pow reciprocal unipolar bipolar octcps cpsoct sign excess blend
";

/// Unit generators that give one channel for each that they are given.
pub(super) const IS_ONE: &str = "\
    A2K AllpassC AllpassL AllpassN Amplitude BAllPass BBandPass BBandStop BHiPass BHiPass4
    BHiShelf BLowPass BLowPass4 BLowShelf BPF BPeakEQ BPZ2 BRF BRZ2 Ball Blip BrownNoise
    BufDelayC BufDelayL BufDelayN BufCombC BufDur BufFrames BufRateScale BufSampleRate COsc
    ClipNoise CombC CombL CombN Compander CompanderD ControlRate CrossoverDistortion Crackle
    CuspN DC DFM1 Decay Decay2 Decimator DelayC DelayL DelayN Delay1 Delay2 DetectSilence Duty
    Dust Dust2 DynKlang DynKlank EnvGen FSinOsc Fold FOS Formant Formlet FreeVerb FreqShift Gate
    Gendy1 GrayNoise HPF HPZ1 Hasher HenonN Impulse Integrator K2A Klang Klank LFClipNoise LFCub
    LFDNoise0 LFDNoise1 LFDNoise3 LFGauss LFNoise0 LFNoise1 LFNoise2 LFPar LFPulse LFSaw LFTri
    LPF LPZ1 LPZ2 Lag Lag2 Lag3 LagUD Latch LeakDC Limiter LinExp LinLin LinXFade2 Line Linen
    LorenzL MantissaMask MidEQ MoogFF MouseButton MouseX MouseY Normalizer OnePole OneZero Osc
    OscN PMOsc Phasor PinkNoise PitchShift Pluck Pulse PulseCount PulseDivider RHPF RLPF Ramp
    Rand ExpRand IRand TRand TExpRand TIRand LinRand NRand Resonz Ringz SOS SVF SampleRate
    SampleDur Saw Select Shaper SinOsc SinOscFB Slew Slope SoundIn Spring StandardL Stepper
    Sweep SyncSaw TDelay TDuty Trig Trig1 ToggleFF TwoPole TwoZero VOsc VOsc3 VarLag VarSaw
    Vibrato WhiteNoise Wrap XFade2 XLine ZeroCrossing AnalogTape Perlin3 Clip InRange T2A T2K
    Timer VDelay Friction Streson
";
