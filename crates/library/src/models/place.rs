//! Where models are: in songrec, in folders, on servers.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_core::{Digest, Hint, ModelSpec, Piece, Remedy};
use songrec_models::{Description, EngineKind, ModelFolder};

use crate::config::model_tables::{HttpTable, OnnxTable};
use crate::{Error, Result};

/// A model that can embed here.
#[derive(Clone, Debug, Serialize)]
pub struct KnownModel {
    /// Its name, dimension and metric.
    #[serde(flatten)]
    pub spec: ModelSpec,
    /// Whether it can read text.
    pub reads_text: bool,
    /// Where it is.
    #[serde(flatten)]
    pub place: ModelPlace,
}

/// Where a model is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelPlace {
    /// A part of songrec.
    BuiltIn,
    /// ONNX files in a folder.
    Onnx(Box<OnnxModelPlace>),
    /// On an inference server.
    Http(Box<HttpModelPlace>),
}

/// A model in a folder.
#[derive(Clone, Debug, Serialize)]
pub struct OnnxModelPlace {
    /// The folder.
    pub folder: PathBuf,
    /// Samples per second that it embeds.
    pub sample_rate: u32,
    /// Seconds of a window.
    pub window: f64,
    /// Under which terms its weights may be used.
    pub licence: String,
    /// What to cite.
    pub citation: String,
    /// Where it comes from.
    pub homepage: String,
    /// Its files, with their digests.
    pub files: Vec<ModelFile>,
    /// What computes it: what the configuration says, else what the model
    /// itself asks for.
    pub engine: EngineKind,
    /// How it is computed, where the configuration says so.
    #[serde(skip)]
    pub(super) table: OnnxTable,
}

/// A file of a model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelFile {
    /// Its name in the model's folder.
    pub name: String,
    /// What it holds.
    pub sha256: Option<Digest>,
}

/// A model on a server.
#[derive(Clone, Debug, Serialize)]
pub struct HttpModelPlace {
    /// Its name in the configuration.
    #[serde(skip)]
    pub(super) key: String,
    /// The server's address.
    pub url: String,
    /// What it speaks: `oip` or `plain`.
    pub form: String,
    /// The model's name on the server.
    pub remote: String,
    /// Samples per second that it embeds.
    pub sample_rate: u32,
    /// Seconds of a window.
    pub window: f64,
    /// All that the configuration says.
    #[serde(skip)]
    #[cfg_attr(not(feature = "bridge"), expect(dead_code, reason = "only a bridge asks"))]
    pub(super) table: HttpTable,
}

impl fmt::Display for ModelPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::Onnx(place) => write!(f, "{}", place.folder.display()),
            Self::Http(place) => write!(f, "{} ({})", place.url, place.form),
        }
    }
}

/// The engine that the configuration asks for.
pub(super) fn configured_engine(table: &OnnxTable) -> Option<EngineKind> {
    table.engine.as_deref().map(|engine| match engine {
        "ort" => EngineKind::Ort,
        _ => EngineKind::Rten,
    })
}

/// A model whose folder lies in `root`.
pub(super) fn in_folder(
    root: &ModelFolder,
    description: Description,
    table: OnnxTable,
) -> KnownModel {
    let files = description.files().into_iter();
    let place = OnnxModelPlace {
        folder: root.folder_of(&description.name),
        sample_rate: description.windowing.sample_rate,
        window: description.windowing.window,
        licence: description.licence.clone(),
        citation: description.citation.clone(),
        homepage: description.homepage.clone(),
        files: files.map(|(name, sha256)| ModelFile { name: name.to_owned(), sha256 }).collect(),
        engine: configured_engine(&table).or(description.engine).unwrap_or({
            match table.device.as_deref() {
                None | Some("cpu") => EngineKind::default(),
                // Only that one computes on anything else.
                Some(_) => EngineKind::Ort,
            }
        }),
        table,
    };
    KnownModel {
        spec: description.spec(),
        reads_text: description.text.is_some(),
        place: ModelPlace::Onnx(Box::new(place)),
    }
}

/// A model whose folder the configuration names: the model's own, or one of
/// several models.
pub(super) fn elsewhere(key: &str, folder: &Path, table: &OnnxTable) -> Result<KnownModel> {
    let (root, name) = match folder.join("model.toml").is_file() {
        true => (folder.parent().unwrap_or(folder), folder.file_name()),
        false => (folder, None),
    };
    let models = ModelFolder::new(root);
    let name = name.map_or_else(|| key.to_owned(), |name| name.to_string_lossy().into_owned());
    let description = models.find(&name).map_err(|error| {
        Error::from(error).with_hint(Hint::of(
            "`{}` should name a folder that {} made, or one that holds such folders",
            [Piece::from(format!("[models.{key}]")), Remedy::AddModel(None).into()],
        ))
    })?;
    if description.name.as_str() != key && description.name.name() != key {
        return Err(Error::usage(format_args!(
            "`[models.{key}]` names the folder of `{}`",
            description.name
        ))
        .with_hint(format_args!("call it `[models.{}]`", description.name.name())));
    }
    Ok(in_folder(&models, description, table.clone()))
}

/// A model on a server.
pub(super) fn on_server(key: &str, table: &HttpTable) -> Result<KnownModel> {
    let spec = table.spec(key)?;
    let place = HttpModelPlace {
        key: key.to_owned(),
        url: table.url.clone(),
        form: table.form.clone(),
        remote: table.remote.clone().unwrap_or_else(|| spec.name.name().to_owned()),
        sample_rate: table.sample_rate,
        window: table.window,
        table: table.clone(),
    };
    Ok(KnownModel { spec, reads_text: false, place: ModelPlace::Http(Box::new(place)) })
}
