//! What sounds alike, and why.

use axum::{
    Json as Answer,
    extract::{FromRequest, Request, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use songrec_core::{Metric, ModelName, Vector, encode_path};
use songrec_library::{
    Blend, Example, Part, Similar, SimilarOptions, UNLIKE, by_words, explain_songs, find,
    reads_words, similar_to,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{songs::named, sound::part};
use crate::{
    input::{InPath, Json, Query, filter, ids, is_of_type, limit, offset, parameters},
    problem::{Problem, Result},
    server::{RequestJob, Shared},
    upload::Upload,
    words,
};

pub(super) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(to_one)).routes(routes!(to_several)).routes(routes!(why))
}

/// Examples of one question, at the most.
const EXAMPLES: usize = 100;

/// What is asked for, beside the song.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SimilarQuery {
    /// How many songs, 1 to 1000; 10 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) k: Option<usize>,
    /// How many of the nearest are passed over.
    #[param(maximum = 10_000_000)]
    offset: Option<usize>,
    /// The model to compare by, with or without its revision.
    model: Option<String>,
    /// Several models to compare by in place of one, such as `clap=0.6,timbre=0.4`.
    blend: Option<String>,
    /// How to compare: `cosine`, `dot` or `euclidean`; the model's own if it is not said.
    metric: Option<String>,
    /// The lowest similarity that counts.
    threshold: Option<f64>,
    /// Only songs that pass, as for the list of songs; may be repeated.
    #[serde(default)]
    filter: Vec<String>,
    /// The id of a song that does not count; may be repeated.
    #[serde(default)]
    exclude: Vec<String>,
    /// At most so many of one artist.
    #[param(minimum = 1)]
    max_per_artist: Option<usize>,
    /// At most so many of one album.
    #[param(minimum = 1)]
    max_per_album: Option<usize>,
    /// Whether it is said why each one is similar.
    #[serde(default)]
    explain: bool,
    /// Whether other copies of a recording that is listed already are listed, too.
    #[serde(default)]
    all_copies: bool,
}

impl SimilarQuery {
    /// As the library takes it, and as many songs as are `usual` if nobody says.
    pub(super) async fn options(
        &self,
        server: &Shared,
        usual: usize,
        job: &RequestJob,
    ) -> Result<SimilarOptions> {
        let blend = self.blend.as_deref().map(str::parse::<Blend>).transpose();
        let metric = self.metric.as_deref().map(str::parse::<Metric>).transpose();
        if self.threshold.is_some_and(|threshold| !threshold.is_finite()) {
            return Err(Problem::invalid("`threshold` is no number"));
        }
        for (name, most) in
            [("max_per_artist", self.max_per_artist), ("max_per_album", self.max_per_album)]
        {
            if most == Some(0) {
                return Err(Problem::invalid(format!("`{name}` is 0, which leaves no song"))
                    .tip("it is 1 or more"));
            }
        }
        Ok(SimilarOptions {
            model: self.model.clone(),
            blend: blend.map_err(|error| Problem::invalid(error.to_string()))?,
            k: limit(self.k, usual)?,
            offset: offset(self.offset)?,
            threshold: self.threshold,
            metric: metric.map_err(|error| Problem::invalid(error.to_string()))?,
            filter: filter(&server.library, &self.filter, job).await?,
            exclude: ids(&self.exclude)?,
            max_per_artist: self.max_per_artist,
            max_per_album: self.max_per_album,
            include_self: false,
            all_copies: self.all_copies,
            explain: self.explain,
        })
    }
}

/// How many songs an answer has if nobody says.
const USUAL: usize = 10;

fn answer(mut similar: Similar) -> Response {
    similar.notes.iter_mut().for_each(words::put_in_words);
    similar.shortfall.iter_mut().for_each(words::put_in_words);
    Answer(similar).into_response()
}

/// Lists the songs that sound like a song.
#[utoipa::path(get, path = "/api/v1/songs/{id}/similar", tag = "search", params(SimilarQuery,
    ("id" = String, Path, description = "The id of a song, or at least 8 digits of its beginning"),
), responses((status = 200, description = "Songs, the nearest first", body = ref("#/components/schemas/similar"))))]
async fn to_one(
    State(server): State<Shared>,
    InPath(id): InPath<String>,
    Query(asked): Query<SimilarQuery>,
) -> Result<Response> {
    let job = RequestJob::new();
    let options = asked.options(&server, USUAL, &job).await?;
    let song = named(&server, &id).await?;
    Ok(answer(similar_to(&server.library, &[Example::read(song)], &options).await?))
}

/// A song of the library, or a part of it, and how much it counts.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExampleIn {
    /// Its id.
    song: String,
    /// How much it counts, above 0: 1 for a song to be like, 0.5 for one to be unlike,
    /// if it is not said.
    #[schema(exclusive_minimum = 0.0)]
    weight: Option<f64>,
    /// Where the part begins, in seconds.
    from: Option<f64>,
    /// Where the part ends.
    to: Option<f64>,
}

/// What the results should be like, and which ones count. At least one of `like`, `text`
/// and `vector` is needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SimilarBody {
    /// Songs to be like.
    like: Vec<ExampleIn>,
    /// Songs to be unlike.
    unlike: Vec<ExampleIn>,
    /// Words to sound like, for a model that reads. Without such a model, words alone are
    /// matched with what is measured of the songs.
    text: Option<String>,
    /// Words not to sound like.
    not_text: Option<String>,
    /// A vector of the model to be near to.
    vector: Option<Vec<f32>>,
    /// How many songs, 1 to 1000; 10 if it is not said.
    #[schema(minimum = 1, maximum = 1000)]
    k: Option<usize>,
    /// How many of the nearest are passed over.
    #[schema(maximum = 10_000_000)]
    offset: Option<usize>,
    /// The model to compare by.
    model: Option<String>,
    /// Several models to compare by in place of one, such as `clap=0.6,timbre=0.4`.
    blend: Option<String>,
    /// How to compare: `cosine`, `dot` or `euclidean`.
    metric: Option<String>,
    /// The lowest similarity that counts.
    threshold: Option<f64>,
    /// Only songs that pass all of these.
    filter: Vec<String>,
    /// Ids of songs that do not count.
    exclude: Vec<String>,
    /// At most so many of one artist.
    #[schema(minimum = 1)]
    max_per_artist: Option<usize>,
    /// At most so many of one album.
    #[schema(minimum = 1)]
    max_per_album: Option<usize>,
    /// Whether it is said why each one is similar.
    explain: bool,
    /// Whether other copies of a recording are listed, too.
    all_copies: bool,
}

impl SimilarBody {
    fn split(self) -> (WantedSound, SimilarQuery) {
        let query = SimilarQuery {
            k: self.k,
            offset: self.offset,
            model: self.model,
            blend: self.blend,
            metric: self.metric,
            threshold: self.threshold,
            filter: self.filter,
            exclude: self.exclude,
            max_per_artist: self.max_per_artist,
            max_per_album: self.max_per_album,
            explain: self.explain,
            all_copies: self.all_copies,
        };
        let asked = WantedSound {
            like: self.like,
            unlike: self.unlike,
            text: self.text,
            not_text: self.not_text,
            vector: self.vector,
        };
        (asked, query)
    }
}

/// What the results should be like.
#[derive(Debug)]
struct WantedSound {
    like: Vec<ExampleIn>,
    unlike: Vec<ExampleIn>,
    text: Option<String>,
    not_text: Option<String>,
    vector: Option<Vec<f32>>,
}

impl WantedSound {
    /// Whether nothing but words is asked for.
    fn is_of_words(&self) -> bool {
        self.like.is_empty() && self.unlike.is_empty() && self.vector.is_none()
    }

    async fn examples(self, server: &Shared) -> Result<Vec<Example>> {
        let count = self.like.len() + self.unlike.len();
        if count > EXAMPLES {
            return Err(Problem::invalid(format!("{count} songs are too many to be like"))
                .tip(format!("name {EXAMPLES} at the most")));
        }
        let mut examples = Vec::new();
        if let Some(values) = self.vector {
            let vector = Vector::new(values)
                .map_err(|error| Problem::invalid(format!("`vector` is none: {error}")))?;
            examples.push(Example::vector(vector));
        }
        for (songs, usual) in [(self.like, 1.0), (self.unlike, UNLIKE)] {
            for example in songs {
                examples.push(example.read(server, usual).await?);
            }
        }
        examples.extend(self.text.map(Example::text));
        examples.extend(self.not_text.map(Example::not_text));
        if !examples.iter().any(|example| example.weight > 0.0) {
            return Err(Problem::invalid("there is nothing to be like")
                .tip("name songs in `like`, words in `text`, or a `vector`; or send a file"));
        }
        Ok(examples)
    }
}

impl ExampleIn {
    async fn read(self, server: &Shared, usual: f64) -> Result<Example> {
        let weight = self.weight.unwrap_or(usual.abs());
        if !weight.is_finite() || weight <= 0.0 {
            return Err(Problem::invalid(format!("`{weight}` is not a weight"))
                .tip("a weight is above 0; `unlike` names what to be unlike"));
        }
        let song = named(server, &self.song).await?;
        let example = match part(self.from, self.to)? {
            None => Example::read(song),
            Some(part) => Example::like(in_part(&song.id.to_string(), part)),
        };
        Ok(Example { weight: weight.copysign(usual), ..example })
    }
}

/// A file to be like, and which results count.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only says what a form has")]
struct SimilarForm {
    /// The audio.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Where the part begins that is meant, in seconds.
    from: Option<f64>,
    /// Where it ends.
    to: Option<f64>,
    /// How many songs, 1 to 1000; 10 if it is not said. All other parameters of `GET
    /// /api/v1/songs/{id}/similar` are fields as well.
    k: Option<usize>,
}

/// Lists the songs that sound like several songs together, like a part of one, like
/// words, like a vector, or like a file that is sent and not kept.
#[utoipa::path(post, path = "/api/v1/similar", tag = "search",
    request_body(content((inline(SimilarBody) = "application/json"), (inline(SimilarForm) = "multipart/form-data"))),
    responses((status = 200, description = "Songs, the nearest first", body = ref("#/components/schemas/similar")))
)]
async fn to_several(State(server): State<Shared>, request: Request) -> Result<Response> {
    let job = RequestJob::new();
    if is_of_type(request.headers(), "multipart/form-data") {
        let upload = Upload::from_request(request, &server).await?;
        let (query, from, to) = fields(&upload.fields)?;
        let options = query.options(&server, USUAL, &job).await?;
        return Ok(answer(like_file(&server, &upload, part(from, to)?, &options).await?));
    }
    let Json(body) = Json::<SimilarBody>::from_request(request, &server).await?;
    let (asked, query) = body.split();
    let reads = asked.text.is_some() || asked.not_text.is_some();
    let mut options = query.options(&server, USUAL, &job).await?;
    let is_open = options.model.is_none() && options.blend.is_none();
    if let Some(text) = &asked.text
        && asked.is_of_words()
        && is_open
        && !reads_words(&server.library)
    {
        let _turn = server.turn().await?;
        let unlike = asked.not_text.as_slice();
        let found = by_words(&server.library, std::slice::from_ref(text), unlike, &options).await?;
        return Ok(answer(found));
    }
    if reads && is_open {
        let reader: ModelName = songrec_library::reading_model(&server.library).await?;
        options.model = Some(reader.to_string());
    }
    let examples = asked.examples(&server).await?;
    // What has to be decoded or read takes a core.
    let _turn = server.turn().await?;
    Ok(answer(similar_to(&server.library, &examples, &options).await?))
}

// As a person names a part, to the millisecond.
fn in_part(name: &str, part: Part) -> String {
    format!("{name}@{:.3}-{:.3}", part.start, part.end)
}

type Fields = (SimilarQuery, Option<f64>, Option<f64>);

// The fields of a form, which are the parameters of an address and the part.
fn fields(fields: &[(String, String)]) -> Result<Fields> {
    let seconds = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| name == wanted);
        let number = |(_, text): &(String, String)| {
            let wrong = |_| Problem::invalid(format!("`{wanted}` is not a number of seconds"));
            text.trim().parse::<f64>().map_err(wrong)
        };
        found.map(number).transpose()
    };
    let of_query: Vec<(&str, &str)> = fields
        .iter()
        .filter(|(name, _)| name != "from" && name != "to")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let text = serde_html_form::to_string(of_query)
        .map_err(|error| Problem::invalid(format!("the fields mean nothing: {error}")))?;
    Ok((parameters(&text)?, seconds("from")?, seconds("to")?))
}

/// What sounds like a file that was sent, or a part of it.
pub(super) async fn like_file(
    server: &Shared,
    upload: &Upload,
    part: Option<Part>,
    options: &SimilarOptions,
) -> Result<Similar> {
    let path = encode_path(&upload.path);
    let _turn = server.turn().await?;
    // Whether there is audio in it is found out before anything else.
    let found = find::resolve(&server.library, &path).await;
    let unreadable = |error| Problem::of_upload(error, &upload.path, &upload.name);
    found.map_err(unreadable)?;
    let name = match part {
        None => path,
        Some(part) => in_part(&path, part),
    };
    let similar = similar_to(&server.library, &[Example::like(name)], options).await;
    similar.map_err(unreadable)
}

/// Two songs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// The id of one.
    a: String,
    /// The id of the other.
    b: String,
}

/// Says why two songs match.
#[utoipa::path(post, path = "/api/v1/explain", tag = "search", request_body = inline(Pair), responses(
    (status = 200, description = "The reasons, and the values side by side", body = ref("#/components/schemas/explain")),
))]
async fn why(State(server): State<Shared>, Json(pair): Json<Pair>) -> Result<Response> {
    let (a, b) = (named(&server, &pair.a).await?, named(&server, &pair.b).await?);
    let (a, b) = (a.id.to_string(), b.id.to_string());
    Ok(Answer(explain_songs(&server.library, &a, &b).await?).into_response())
}
