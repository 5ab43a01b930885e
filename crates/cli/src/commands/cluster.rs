//! `cluster`: groups of songs that sound alike.

use anyhow::Result;
use serde_json::json;
use songrec_core::{Filter, SongId, SongSummary};
use songrec_library::{
    Cluster, ClusterList, ClusterOptions, Clustering, Library, cluster, cluster_named,
    cluster_songs, clustering, find, labels, remove_clusters, rename_cluster,
};

use crate::{
    args::{ClusterArgs, ClusterCommand, Listed, RowArgs},
    commands::select,
    context::Context,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, JOINED, Table},
};

/// Genres of a cluster that are shown.
const GENRES: usize = 3;

pub(super) async fn run(context: &Context, args: ClusterArgs) -> Result<ExitStatus> {
    match &args.command {
        None => make(context, &args).await,
        Some(ClusterCommand::Ls { rows }) => list(context, rows).await,
        Some(ClusterCommand::Show { cluster, limit, rows }) => {
            show(context, cluster, *limit, rows).await
        }
        Some(ClusterCommand::Rename { cluster, name }) => {
            let library = context.library_to_change().await?;
            let renamed = rename_cluster(&library, cluster, name).await?;
            if context.printer.json {
                context.printer.json(&json!({"cluster_id": renamed.id, "name": renamed.name}))?;
            }
            context.printer.say(format!("cluster {} is called `{}` now", renamed.id, renamed.name));
            Ok(ExitStatus::Done)
        }
        Some(ClusterCommand::Rm) => {
            let library = context.library_to_change().await?;
            remove_clusters(&library).await?;
            if context.printer.json {
                context.printer.json(&json!({"removed": true}))?;
            }
            context.printer.say("removed the clusters; `songrec cluster` makes new ones");
            Ok(ExitStatus::Done)
        }
    }
}

async fn make(context: &Context, args: &ClusterArgs) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let options = ClusterOptions {
        method: args.method,
        k: args.k.unwrap_or_default(),
        eps: args.eps,
        min_samples: args.min_samples,
        min_size: args.min_size,
        model: select::model(&library, args.model.as_deref()).await?,
        filter: args.filter.filter(&context.job, &library, &[]).await?,
        seed: args.seed,
        again: args.again,
    };
    let Some(clustering) = cluster(&library, &options, &context.job).await? else {
        context.printer.nothing("interrupted; the clusters are as they were")?;
        return Ok(ExitStatus::Interrupted);
    };
    print(context, &library, &clustering, &ClusterList::as_made(&clustering), &args.rows).await
}

async fn list(context: &Context, rows: &RowArgs<impl Listed>) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let Some(clustering) = clustering(&library).await? else {
        context.printer.nothing("this library has no clusters; `songrec cluster` makes some")?;
        return Ok(ExitStatus::FoundNothing);
    };
    let Some(labels) = labels(&library, &clustering, &context.job).await? else {
        context.printer.nothing("interrupted")?;
        return Ok(ExitStatus::Interrupted);
    };
    print(context, &library, &clustering, &ClusterList::as_now(&clustering, &labels), rows).await
}

async fn print(
    context: &Context,
    library: &Library,
    clustering: &Clustering,
    list: &ClusterList,
    rows: &RowArgs<impl Listed>,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let rows = Rows::of(printer, rows, library)?;
    if printer.json {
        printer.json(list)?;
    } else if let Some(mut rows) = rows {
        let typical = typical(library, clustering).await?;
        let row = |(cluster, typical): (&Cluster, &String)| {
            let mut document = json!(cluster);
            document["genres"] = json!(genres(cluster).replace(JOINED, " "));
            document["typical"] = json!(typical);
            document
        };
        rows.print(printer, &list.clusters.iter().zip(&typical).map(row).collect::<Vec<_>>())?;
    } else {
        let typical = typical(library, clustering).await?;
        let mut table = Table::headed([
            Column::number("#"),
            Column::cut("name", 3),
            Column::number("songs"),
            Column::number("tight"),
            Column::cut("genres", 2),
            Column::cut("typical", 2),
        ]);
        for (cluster, typical) in list.clusters.iter().zip(typical) {
            table.row([
                cluster.id.to_string(),
                cluster.name.clone(),
                cluster.size.to_string(),
                format!("{:.2}", cluster.tightness),
                genres(cluster),
                typical,
            ]);
        }
        printer.table(&table)?;
    }
    say(context, clustering, list.noise);
    Ok(if clustering.clusters.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

fn say(context: &Context, clustering: &Clustering, noise: u64) {
    let mut said = format!(
        "{} by {} and `{}`",
        counted(clustering.clusters.len() as u64, "cluster"),
        clustering.method,
        clustering.model
    );
    if let Some(silhouette) = clustering.silhouette {
        said.push_str(&format!(", silhouette {silhouette:.2}"));
    }
    if noise > 0 {
        said.push_str(&format!(", {} in none", counted(noise, "song")));
    }
    if clustering.agreement < 0.995 {
        let part = (clustering.agreement * 100.0).floor();
        said.push_str(&format!(
            "; by the rule that is kept {part} % of the songs are where they were put"
        ));
    }
    context.printer.say(said);
    if let Some(advice) = advice(clustering) {
        context.printer.say(advice);
    }
    if let Some(first) = clustering.clusters.first() {
        context.printer.say(format!(
            "`-f 'cluster:\"{}\"'` or `-f cluster:{}` filters by one in every command",
            first.name, first.id
        ));
    }
}

/// The part of all songs from which on one cluster, or what is in none, hides the others.
const MOST: f64 = 0.7;

// What parts the songs better, where a distance put nearly all together or apart.
fn advice(clustering: &Clustering) -> Option<String> {
    let eps = clustering.parameters.get("eps")?;
    let percent = |songs: u64| (songs as f64 / clustering.songs.max(1) as f64 * 100.0).floor();
    let largest = clustering.clusters.iter().map(|cluster| cluster.size).max().unwrap_or(0);
    if percent(clustering.noise) >= MOST * 100.0 {
        return Some(format!(
            "{} % of the songs have too few others within {eps:.3}: a larger `--eps` takes in \
             more, and `songrec cluster --method hdbscan` needs none",
            percent(clustering.noise)
        ));
    }
    (percent(largest) >= MOST * 100.0).then(|| {
        format!(
            "one cluster has {} % of the songs, as chains of songs within {eps:.3} join them: \
             a smaller `--eps` parts more, and `songrec cluster --method hdbscan` needs none",
            percent(largest)
        )
    })
}

// The titles of the most typical song of each cluster.
async fn typical(library: &Library, clustering: &Clustering) -> Result<Vec<String>> {
    let ids: Vec<SongId> =
        clustering.clusters.iter().filter_map(|cluster| cluster.typical.first().copied()).collect();
    let mut titles = std::collections::HashMap::new();
    for ids in ids.chunks(100) {
        let summaries = find::summaries(library, ids).await?;
        titles.extend(summaries.into_iter().map(|summary| (summary.id, summary.title)));
    }
    let title = |cluster: &Cluster| {
        let typical = cluster.typical.first();
        typical.and_then(|id| titles.get(id).cloned()).unwrap_or_default()
    };
    Ok(clustering.clusters.iter().map(title).collect())
}

fn genres(cluster: &Cluster) -> String {
    let mut genres: Vec<(&String, &u64)> = cluster.genres.iter().collect();
    genres.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let shown: Vec<String> =
        genres.iter().take(GENRES).map(|(name, count)| format!("{name}{JOINED}{count}")).collect();
    shown.join(", ")
}

async fn show(context: &Context, name: &str, limit: usize, rows: &RowArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let rows = Rows::of(&context.printer, rows, &library)?;
    let (clustering, cluster) = cluster_named(&library, name).await?;
    let songs = cluster_songs(&library, &clustering, cluster.id, &context.job).await?;
    let Some(songs) = songs else {
        context.printer.nothing("interrupted")?;
        return Ok(ExitStatus::Interrupted);
    };
    let printer = &context.printer;
    let mut summaries: Vec<SongSummary> = Vec::new();
    let shown: Vec<SongId> = songs.iter().take(limit).copied().collect();
    for ids in shown.chunks(100) {
        summaries.extend(find::summaries(&library, ids).await?);
    }
    if printer.json {
        let mut document = serde_json::to_value(&cluster)?;
        document["size"] = json!(songs.len());
        document["songs"] = serde_json::to_value(&summaries)?;
        printer.json(&document)?;
    } else if let Some(mut rows) = rows {
        rows.print(printer, &summaries)?;
    } else {
        select::print(printer, &summaries)?;
    }
    let genres = genres(&cluster);
    printer.say(format!(
        "cluster {}, `{}`: {}{}{}",
        cluster.id,
        cluster.name,
        counted(songs.len() as u64, "song"),
        if genres.is_empty() { "" } else { ", " },
        genres.replace(JOINED, " "),
    ));
    if songs.len() > limit {
        let filter = Filter::parse_all(&[format!("cluster:{}", cluster.id)])?;
        let filter: Vec<String> = filter.into();
        printer.say(format!("`songrec ls -f {}` lists all of them", filter.join(" ")));
    }
    Ok(if songs.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
