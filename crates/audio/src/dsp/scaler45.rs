//! The numbers of the scaler of `dsp45@1`.

pub(super) const MEANS: [f64; 45] = [0.0; 45];
pub(super) const DEVIATIONS: [f64; 45] = [1.0; 45];
