//! Whether a description fits the ONNX files that were found for it.

use std::path::Path;

use crate::{
    description::{Description, FrontEnd, Kind},
    engine,
    error::{ModelError, ModelErrorKind},
    outline::{Outline, Port},
};

/// Brings a description and the files that were found together: takes over the
/// names of inputs and outputs where only one is possible, and checks sizes.
pub(super) fn fit(description: &mut Description, folder: &Path) -> Result<(), ModelError> {
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
            let windowing = description.windowing();
            let frames = 1 + windowing.window / hop;
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
