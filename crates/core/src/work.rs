//! The kinds of long work.

use serde::Serialize;

/// What long work is doing. The list is fixed, so that each program has its own
/// words for every kind; as JSON it is a name that stays, such as `reading_songs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Taking in files.
    Scanning,
    /// Embedding files that stay where they are.
    Embedding,
    /// Embedding songs again whose embeddings are lost.
    EmbeddingAgain,
    /// Finding files at their new place.
    Relocating,
    /// Reading songs of the library.
    ReadingSongs,
    /// Reading embeddings of the library.
    ReadingEmbeddings,
    /// Looking for what changed in a library.
    LookingForChanges,
    /// Writing songs to files.
    Exporting,
    /// Taking in songs from another program or library.
    Importing,
    /// Fetching audio or a model over the network.
    Downloading,
    /// Checking what is stored.
    Verifying,
    /// Looking for what no song names.
    LookingForGarbage,
    /// Removing what no song names.
    RemovingGarbage,
    /// Removing what a model made of songs.
    RemovingVectors,
    /// Building the catalog of a local library.
    BuildingCatalog,
    /// Taking in files of a local library that other programs changed.
    TakingInFiles,
    /// Building the index of a model.
    BuildingIndex,
    /// Comparing two libraries.
    ComparingLibraries,
    /// Deciding what will be copied.
    Planning,
    /// Copying songs to another library.
    Copying,
    /// Making two libraries agree.
    Syncing,
    /// Comparing every song with every other.
    ComparingSongs,
    /// Finding the cluster of each song.
    ComparingWithClusters,
    /// Putting new songs on a map that exists.
    PlacingNewSongs,
    /// Measuring how fast a model is.
    Measuring,
    /// Changing the audio of songs, and finding the songs by it.
    ChangingAndFinding,
    /// Finding clusters.
    Clustering,
    /// Comparing numbers of clusters.
    ChoosingK,
    /// Looking for a distance that separates clusters.
    ChoosingEps,
    /// Measuring how well clusters are separated.
    Silhouettes,
    /// Growing the trees of an isolation forest.
    GrowingTrees,
    /// Giving each row its score of an outlier.
    ScoringOutliers,
    /// Finding the nearest neighbors of all rows.
    FindingNeighbors,
    /// Finding principal components.
    FindingComponents,
    /// Putting all rows on a map.
    DrawingMap,
    /// Putting further rows on a map.
    PlacingRows,
    /// Measuring how far a map keeps neighbors together.
    JudgingMap,
    /// Measuring how good neighbors are.
    Evaluating,
}

impl Work {
    /// All kinds.
    pub const ALL: [Self; 38] = [
        Self::Scanning,
        Self::Embedding,
        Self::EmbeddingAgain,
        Self::Relocating,
        Self::ReadingSongs,
        Self::ReadingEmbeddings,
        Self::LookingForChanges,
        Self::Exporting,
        Self::Importing,
        Self::Downloading,
        Self::Verifying,
        Self::LookingForGarbage,
        Self::RemovingGarbage,
        Self::RemovingVectors,
        Self::BuildingCatalog,
        Self::TakingInFiles,
        Self::BuildingIndex,
        Self::ComparingLibraries,
        Self::Planning,
        Self::Copying,
        Self::Syncing,
        Self::ComparingSongs,
        Self::ComparingWithClusters,
        Self::PlacingNewSongs,
        Self::Measuring,
        Self::ChangingAndFinding,
        Self::Clustering,
        Self::ChoosingK,
        Self::ChoosingEps,
        Self::Silhouettes,
        Self::GrowingTrees,
        Self::ScoringOutliers,
        Self::FindingNeighbors,
        Self::FindingComponents,
        Self::DrawingMap,
        Self::PlacingRows,
        Self::JudgingMap,
        Self::Evaluating,
    ];
}
