//! How a model gets into the store: put together beside it, then renamed.

use std::{
    fs::{self, File},
    io::{Read, Write as _},
    path::{Path, PathBuf},
};

use songrec_core::{Digest, ModelName};

use super::{DESCRIPTION, ModelFolder, disk, fit::fit};
use crate::{
    description::{Description, FrontEnd, MelScale},
    digest::{digest_of, wrong_digest},
    embedder::{Short, Windowing},
    engine::OpenOptions,
    error::{ModelError, ModelErrorKind},
    onnx_model::OnnxModel,
};

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
    /// Adds the model that `description` describes, with its files from the
    /// folder `files`, which stay where they are.
    ///
    /// Files are compared with the digests in the description, if it has any;
    /// names and sizes of the inputs and outputs are checked; and an engine, if
    /// there is one that can, embeds a probe. The revision `0` becomes one made
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
        fit(&mut description, &draft.path)?;
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
            && there.windowing == description.windowing
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

/// The name with a revision made of all that decides what audio becomes: the
/// audio file's digest, the windows and the front end.
fn revised(description: &Description) -> ModelName {
    let digest = description.audio.sha256.expect("taken in before");
    let Windowing { sample_rate, window, hop, short, normalize } = description.windowing();
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
