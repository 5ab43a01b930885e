//! The models on this machine: a folder of folders.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest as _, Sha256};
use songrec_core::{Digest, ModelName};

use super::{
    description::{Description, FrontEnd, Kind, MelScale},
    embedder::{Listening, Short},
    engine::{self, OpenOptions},
    error::{ModelError, ModelErrorKind},
    known::known_models,
    onnx::{Outline, Port},
    onnx_model::OnnxModel,
};

/// The description in each model's folder.
const DESCRIPTION: &str = "model.toml";

/// The models on this machine: in `root`, one folder for each, named
/// `name@revision`, with a `model.toml` and the files that it names.
///
/// A model is there as a whole or not at all: it is put together in a folder of
/// its own, whose name begins with a dot, and then renamed. Nothing is ever
/// downloaded.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    root: PathBuf,
}

/// What became of adding a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Added {
    /// The model as it is now, with digests and revision.
    pub description: Description,
    /// Whether it was there already, with the same files.
    pub was_there: bool,
    /// What a person should know, such as that it cannot read text.
    pub notes: Vec<String>,
}

impl ModelFolder {
    /// The models in `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one model.
    pub fn folder_of(&self, name: &ModelName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// All models by name, and what is wrong with those that cannot be used.
    ///
    /// # Errors
    ///
    /// When the folder exists and cannot be read.
    pub fn list(&self) -> Result<Vec<Result<Description, ModelError>>, ModelError> {
        let mut names: Vec<ModelName> = match fs::read_dir(&self.root) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(disk("*", &self.root, "its models could not be listed", error));
            }
        };
        names.sort();
        Ok(names.iter().map(|name| self.describe(name)).collect())
    }

    /// The model called `name`: in full, such as `clap@3f9a62c1`, or without
    /// the revision where there is only one.
    ///
    /// # Errors
    ///
    /// `NotFound`; also when there are several, which are then named.
    pub fn find(&self, name: &str) -> Result<Description, ModelError> {
        if let Ok(full) = name.parse::<ModelName>() {
            return self.describe(&full);
        }
        let mut found: Vec<Result<Description, ModelError>> = Vec::new();
        let mut names = Vec::new();
        for model in self.list()? {
            let full = match &model {
                Ok(description) => description.name.to_string(),
                Err(error) => error.model().to_owned(),
            };
            if full.split_once('@').is_some_and(|(short, _)| short == name) {
                names.push(format!("`{full}`"));
                found.push(model);
            }
        }
        match found.len() {
            0 => Err(missing(name)),
            1 => found.remove(0),
            _ => Err(ModelError::new(
                name,
                ModelErrorKind::NotFound,
                format!("there are several of that name: {}", names.join(", ")),
            )
            .with_hint("name one of them with its revision")),
        }
    }

    /// What the model's own `model.toml` says.
    fn describe(&self, name: &ModelName) -> Result<Description, ModelError> {
        let path = self.folder_of(name).join(DESCRIPTION);
        let description = read_description(name.as_str(), &path)?;
        if description.name != *name {
            return Err(ModelError::new(
                name,
                ModelErrorKind::Mismatch,
                format!("it describes `{}`", description.name),
            )
            .in_file(&path)
            .with_hint(
                "rename the folder to the model's name, or remove it and add the model again",
            ));
        }
        if let Some((file, _)) = description.files().iter().find(|(_, digest)| digest.is_none()) {
            return Err(ModelError::new(
                name,
                ModelErrorKind::Invalid,
                format!("there is no `sha256` for `{file}`"),
            )
            .in_file(&path)
            .with_hint("put models here with `songrec model add`, which writes the digests"));
        }
        Ok(description)
    }

    /// Opens the model called `name`, as [`find`](Self::find) finds it.
    ///
    /// # Errors
    ///
    /// When it is not there, its files are not those that were added, or the
    /// engine cannot run it.
    pub fn open(&self, name: &str, options: &OpenOptions) -> Result<OnnxModel, ModelError> {
        let description = self.find(name)?;
        let folder = self.folder_of(&description.name);
        OnnxModel::open(description, &folder, options)
    }

    /// Checks every file of a model against its digest, and lets it hear and
    /// read a probe.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn verify(&self, name: &str, options: &OpenOptions) -> Result<Description, ModelError> {
        let description = self.find(name)?;
        let folder = self.folder_of(&description.name);
        for (file, digest) in description.files() {
            check_digest(description.name.as_str(), &folder.join(file), digest)?;
        }
        OnnxModel::open(description.clone(), &folder, options)?.probe()?;
        Ok(description)
    }

    /// Removes a model; its embeddings in libraries stay.
    ///
    /// # Errors
    ///
    /// `NotFound`, and when the disk fails.
    pub fn remove(&self, name: &ModelName) -> Result<(), ModelError> {
        let folder = self.folder_of(name);
        // Renamed first, so that nobody finds half a model.
        let away = self.fresh_folder_name("removing");
        match fs::rename(&folder, &away) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(missing(name.as_str()));
            }
            Err(error) => return Err(disk(name, &folder, "it could not be removed", error)),
        }
        fs::remove_dir_all(&away)
            .map_err(|error| disk(name, &away, "it could not be removed as a whole", error))
    }

    /// What describes the files in `files`: the built-in description called
    /// `known`, or, without a name, the `model.toml` that lies with them.
    ///
    /// # Errors
    ///
    /// When there is no such description, or it makes no sense.
    pub fn description_for(known: Option<&str>, files: &Path) -> Result<Description, ModelError> {
        let Some(name) = known else {
            return read_description("model.toml", &files.join(DESCRIPTION));
        };
        if let Some(known) = known_models().iter().find(|known| known.name == name) {
            return Ok(known.description.clone());
        }
        let names: Vec<&str> = known_models().iter().map(|known| known.name).collect();
        Err(ModelError::new(name, ModelErrorKind::NotFound, "no model of that name is known")
            .with_hint(format!(
                "known are {}; for any other, write a `model.toml` beside its files and leave out \
                 the name",
                names.join(", ")
            )))
    }

    /// Adds the model that `description` describes, with its files from the
    /// folder `files`, which stay where they are.
    ///
    /// Files are compared with the digests in the description, if it has any;
    /// names and sizes of the inputs and outputs are checked; and an engine, if
    /// there is one that can, hears a probe. The revision `0` becomes one made
    /// of the files. A text file that is not there is left out. Adding what is
    /// there already changes nothing.
    ///
    /// # Errors
    ///
    /// When something of that is wrong; then nothing was added. `Exists` when
    /// there is a model of that name and revision with other files.
    pub fn add(
        &self,
        mut description: Description,
        files: &Path,
        options: &OpenOptions,
    ) -> Result<Added, ModelError> {
        let mut notes = Vec::new();
        let asked = description.name.clone();
        if let Some(text) = &description.text
            && (find_file(files, &text.file, TEXT_ALIASES).is_none()
                || find_file(files, &text.tokenizer.file, &[]).is_none())
        {
            notes.push(format!(
                "it cannot read text: `{}` and `{}` are not both in `{}`",
                text.file,
                text.tokenizer.file,
                files.display()
            ));
            description.text = None;
        }

        let draft = Draft::new(self, &asked)?;
        let audio = &mut description.audio;
        audio.sha256 = Some(draft.take(&asked, files, &audio.file, AUDIO_ALIASES, audio.sha256)?);
        if let Some(text) = &mut description.text {
            text.sha256 = Some(draft.take(&asked, files, &text.file, TEXT_ALIASES, text.sha256)?);
            let tokens = &mut text.tokenizer;
            tokens.sha256 = Some(draft.take(&asked, files, &tokens.file, &[], tokens.sha256)?);
        }
        adapt(&mut description, &draft.path)?;
        if description.name.revision() == "0" {
            description.name = revised(&description);
        }

        let target = self.folder_of(&description.name);
        if target.exists() {
            return self.already_there(description, notes);
        }
        match OnnxModel::open(description.clone(), &draft.path, options)
            .and_then(|model| model.probe())
        {
            Ok(()) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ModelErrorKind::NoEngine | ModelErrorKind::Unsupported
                ) =>
            {
                notes.push(format!("it was not tried out: {error}"));
            }
            Err(error) => return Err(error),
        }
        draft.write(&asked, DESCRIPTION, &mut description.to_toml().as_bytes())?;
        match fs::rename(&draft.path, &target) {
            Ok(()) => Ok(Added { description, was_there: false, notes }),
            // Somebody else was faster.
            Err(_) if target.exists() => self.already_there(description, notes),
            Err(error) => Err(disk(&asked, &target, "it could not be put in place", error)),
        }
    }

    fn already_there(
        &self,
        description: Description,
        notes: Vec<String>,
    ) -> Result<Added, ModelError> {
        let there = self.describe(&description.name)?;
        if there.files() == description.files()
            && there.listening == description.listening
            && there.front_end == description.front_end
        {
            return Ok(Added { description: there, was_there: true, notes });
        }
        Err(ModelError::new(
            &description.name,
            ModelErrorKind::Exists,
            "there is a model of this name and revision with other files",
        )
        .in_file(&self.folder_of(&description.name))
        .with_hint("give the new one another revision, or remove the old one first"))
    }

    fn fresh_folder_name(&self, what: &str) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = self.root.join(format!(".{what}-{}-{count}", std::process::id()));
            if !path.exists() {
                return path;
            }
        }
    }
}

/// Names under which others keep such files.
const AUDIO_ALIASES: &[&str] =
    &["audio.onnx", "audio_model.onnx", "onnx/audio_model.onnx", "model.onnx", "onnx/model.onnx"];
const TEXT_ALIASES: &[&str] = &["text.onnx", "text_model.onnx", "onnx/text_model.onnx"];

fn find_file(folder: &Path, name: &str, aliases: &[&str]) -> Option<PathBuf> {
    let names = std::iter::once(&name).chain(aliases);
    names.map(|name| folder.join(name)).find(|path| path.is_file())
}

/// A model that is being put together; removed again unless it was renamed.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn new(models: &ModelFolder, model: &ModelName) -> Result<Self, ModelError> {
        let path = models.fresh_folder_name("adding");
        fs::create_dir_all(&path)
            .map_err(|error| disk(model, &path, "the folder could not be made", error))?;
        Ok(Self { path })
    }

    /// Copies a file in, and gives its digest.
    fn take(
        &self,
        model: &ModelName,
        from: &Path,
        name: &str,
        aliases: &[&str],
        expected: Option<Digest>,
    ) -> Result<Digest, ModelError> {
        let Some(path) = find_file(from, name, aliases) else {
            return Err(ModelError::new(model, ModelErrorKind::NotFound, "the file is missing")
                .in_file(&from.join(name))
                .with_hint("export the model with `tools/export_models.py`, and name its folder"));
        };
        let mut file =
            File::open(&path).map_err(|error| disk(model, &path, "it could not be read", error))?;
        let digest = self.write(model, name, &mut file)?;
        match expected {
            Some(expected) if expected != digest => {
                Err(wrong_digest(model.as_str(), &path, expected, digest))
            }
            _ => Ok(digest),
        }
    }

    fn write(
        &self,
        model: &ModelName,
        name: &str,
        from: &mut dyn Read,
    ) -> Result<Digest, ModelError> {
        let path = self.path.join(name);
        let mut copy = || {
            let mut file = File::create_new(&path)?;
            let digest = digest_of(from, |bytes| file.write_all(bytes))?;
            file.sync_all()?;
            Ok(digest)
        };
        copy().map_err(|error| disk(model, &path, "it could not be copied", error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone already if it was renamed; what is left over has a dot before
        // its name, and harms nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Checks that the file at `path` has the digest `expected`.
pub(crate) fn check_digest(
    model: &str,
    path: &Path,
    expected: Option<Digest>,
) -> Result<(), ModelError> {
    let Some(expected) = expected else { return Ok(()) };
    let digest = File::open(path)
        .and_then(|mut file| digest_of(&mut file, |_| Ok(())))
        .map_err(|error| engine::unreadable(model, path, error))?;
    if digest == expected { Ok(()) } else { Err(wrong_digest(model, path, expected, digest)) }
}

fn digest_of(
    from: &mut dyn Read,
    mut each: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(Digest(sha.finalize().into())),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        sha.update(&buffer[..read]);
        each(&buffer[..read])?;
    }
}

/// Brings a description and the files that were found together: takes over the
/// names of inputs and outputs where only one is possible, and checks sizes.
fn adapt(description: &mut Description, folder: &Path) -> Result<(), ModelError> {
    let model = description.name.to_string();
    let dimension = description.dimension;
    let path = folder.join(&description.audio.file);
    let outline = outline_of(&model, &path)?;
    let wrong = |file: &str, reason: String| {
        ModelError::new(&model, ModelErrorKind::Mismatch, reason)
            .in_file(Path::new(file))
            .with_hint("is it another model's file? If not, describe it in a `model.toml`")
    };

    let audio = &mut description.audio;
    let input = match port(&outline.inputs, &audio.input) {
        Ok(port) => port,
        Err(reason) => return Err(wrong(&audio.file, format!("its inputs are {reason}"))),
    };
    if input.name != audio.input {
        // transformers' own exports leave the normalisation outside.
        if input.name == "input_values"
            && matches!(description.kind, Kind::Wav2vec2 | Kind::Mert)
            && description.front_end == FrontEnd::Samples
        {
            description.front_end = FrontEnd::NormalizedSamples;
        }
        audio.input.clone_from(&input.name);
    }
    let expected: Vec<Option<u64>> = match description.front_end {
        FrontEnd::Samples | FrontEnd::NormalizedSamples => vec![None, None],
        FrontEnd::LogMel { hop, mels, channels, .. } => {
            let listening = description.listening();
            let frames = 1 + listening.window / hop;
            [None, Some(channels), Some(frames), Some(mels)].map(|n| n.map(|n| n as u64)).to_vec()
        }
    };
    // A file that says nothing of its input's shape is taken at its word.
    let fits = input.shape.is_empty()
        || input.shape.len() == expected.len()
            && input.shape.iter().zip(&expected).all(|pair| match pair {
                (Some(has), Some(wants)) => has == wants,
                _ => true,
            });
    let audio = &mut description.audio;
    if !fits {
        let reason = format!(
            "its input `{}` has the shape {}, but {} was expected",
            input.name,
            shown(&input.shape),
            shown(&expected)
        );
        return Err(wrong(&audio.file, reason));
    }
    audio.output = check_output(&outline, &audio.output, dimension)
        .map_err(|reason| wrong(&audio.file, reason))?;

    if let Some(text) = &mut description.text {
        let outline = outline_of(&model, &folder.join(&text.file))?;
        let names: Vec<&str> = outline.inputs.iter().map(|port| &*port.name).collect();
        if !names.contains(&&*text.ids) {
            let reason = format!("it has the inputs {names:?}, but `{}` was expected", text.ids);
            return Err(wrong(&text.file, reason));
        }
        // Some models find the padding by themselves.
        text.mask = text.mask.take().filter(|mask| names.contains(&&**mask));
        text.output = check_output(&outline, &text.output, dimension)
            .map_err(|reason| wrong(&text.file, reason))?;
    }
    Ok(())
}

fn outline_of(model: &str, path: &Path) -> Result<Outline, ModelError> {
    let outline = Outline::read(path).map_err(|error| engine::unreadable(model, path, error))?;
    if outline.external {
        return Err(ModelError::new(
            model,
            ModelErrorKind::Unsupported,
            "its weights are in another file beside it",
        )
        .in_file(path)
        .with_hint("export it as one file, as `tools/export_models.py` does"));
    }
    Ok(outline)
}

/// The port called `name`, or the only one there is.
fn port<'a>(ports: &'a [Port], name: &str) -> Result<&'a Port, String> {
    if let Some(port) = ports.iter().find(|port| port.name == name) {
        return Ok(port);
    }
    match ports {
        [only] => Ok(only),
        _ => {
            let names: Vec<&str> = ports.iter().map(|port| &*port.name).collect();
            Err(format!("{names:?}, and none is called `{name}`"))
        }
    }
}

/// The name of the output, of which the last dimension is `dimension`.
fn check_output(outline: &Outline, name: &str, dimension: usize) -> Result<String, String> {
    let port =
        port(&outline.outputs, name).map_err(|reason| format!("its outputs are {reason}"))?;
    match port.shape.last() {
        Some(&Some(has)) if has != dimension as u64 => Err(format!(
            "its output `{}` has {has} dimensions, but the model has {dimension}",
            port.name
        )),
        _ => Ok(port.name.clone()),
    }
}

fn shown(shape: &[Option<u64>]) -> String {
    let sizes = shape.iter().map(|size| size.map_or("any".to_owned(), |size| size.to_string()));
    format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
}

/// The name with a revision made of all that decides what audio becomes: the
/// audio file's digest, the windows and the front end.
fn revised(description: &Description) -> ModelName {
    let digest = description.audio.sha256.expect("taken in before");
    let Listening { sample_rate, window, hop, short, normalize } = description.listening();
    let front_end = match &description.front_end {
        FrontEnd::Samples => "samples".to_owned(),
        FrontEnd::NormalizedSamples => "normalized_samples".to_owned(),
        FrontEnd::LogMel { frame, hop, mels, min_hz, max_hz, scale, channels } => {
            let scale = match scale {
                MelScale::Slaney => "slaney",
                MelScale::Htk => "htk",
            };
            format!("log_mel {frame} {hop} {mels} {min_hz} {max_hz} {scale} {channels}")
        }
    };
    let short = match short {
        Short::Repeat => "repeat",
        Short::RepeatAndCut => "repeat_and_cut",
        Short::Silence => "silence",
        Short::Keep => "keep",
    };
    // Spelled out, so that a revision does not change with the code.
    let decides = format!(
        "{digest} {output} {sample_rate} {window} {hop} {short} {normalize} {front_end}",
        output = description.audio.output
    );
    let revision = Digest::of(decides.as_bytes()).to_string();
    format!("{}@{}", description.name.name(), &revision[..8])
        .parse()
        .expect("a name and eight hexadecimal digits")
}

fn read_description(model: &str, path: &Path) -> Result<Description, ModelError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let error = if model == DESCRIPTION {
                ModelError::new(model, ModelErrorKind::NotFound, "there is no description")
                    .with_hint("name a known model, such as `clap`, or write a `model.toml`")
            } else {
                missing(model)
            };
            return Err(error.in_file(path));
        }
        Err(error) => return Err(disk(model, path, "it could not be read", error)),
    };
    Description::from_toml(&text).map_err(|error| {
        ModelError::new(model, ModelErrorKind::Invalid, "it is no description of a model")
            .in_file(path)
            .because(error)
            .with_hint("correct it, or remove the model and add it again")
    })
}

fn missing(model: &str) -> ModelError {
    ModelError::new(model, ModelErrorKind::NotFound, "there is no such model here")
        .with_hint("see `songrec model list`, and add one with `songrec model add`")
}

fn wrong_digest(model: &str, path: &Path, expected: Digest, found: Digest) -> ModelError {
    ModelError::new(
        model,
        ModelErrorKind::Mismatch,
        format!("its SHA-256 is {found}, but that of the model's file is {expected}"),
    )
    .in_file(path)
    .with_hint(
        "it is damaged, or another model's: get the right file, or add this one under another name",
    )
}

fn disk(model: impl std::fmt::Display, path: &Path, reason: &str, error: io::Error) -> ModelError {
    ModelError::new(model, ModelErrorKind::Io, reason)
        .in_file(path)
        .because(error)
        .with_hint("check the disk and the permissions; then try again")
}
