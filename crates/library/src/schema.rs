//! What the documents of songrec look like, as JSON Schema: the same at a terminal
//! and over HTTP.
//!
//! Written by hand; tests of the programs hold every document against them.

/// The schema of the documents of each command, by its words.
pub const SCHEMAS: &[(&str, &str)] = &[
    ("anomalies", include_str!("../schema/anomalies.json")),
    ("audio keep", include_str!("../schema/audio-keep.json")),
    ("audio rm", include_str!("../schema/audio-rm.json")),
    ("backup", include_str!("../schema/backup.json")),
    ("cache clear", include_str!("../schema/cache-clear.json")),
    ("cache info", include_str!("../schema/cache-info.json")),
    ("cache prune", include_str!("../schema/cache-prune.json")),
    ("check", include_str!("../schema/check.json")),
    ("clone", include_str!("../schema/clone.json")),
    ("cluster", include_str!("../schema/cluster.json")),
    ("cluster ls", include_str!("../schema/cluster-ls.json")),
    ("cluster rename", include_str!("../schema/cluster-rename.json")),
    ("cluster rm", include_str!("../schema/cluster-rm.json")),
    ("cluster show", include_str!("../schema/cluster-show.json")),
    ("completions", include_str!("../schema/completions.json")),
    ("config path", include_str!("../schema/config-path.json")),
    ("config show", include_str!("../schema/config-show.json")),
    ("conflicts", include_str!("../schema/conflicts.json")),
    ("conflicts list", include_str!("../schema/conflicts-list.json")),
    ("conflicts resolve", include_str!("../schema/conflicts-resolve.json")),
    ("conflicts show", include_str!("../schema/conflicts-show.json")),
    ("demo", include_str!("../schema/demo.json")),
    ("doctor", include_str!("../schema/doctor.json")),
    ("dup", include_str!("../schema/dup.json")),
    ("edit", include_str!("../schema/edit.json")),
    ("embed", include_str!("../schema/embed.json")),
    ("emulator", include_str!("../schema/emulator.json")),
    ("eval", include_str!("../schema/eval.json")),
    ("exit-codes", include_str!("../schema/exit-codes.json")),
    ("explain", include_str!("../schema/explain.json")),
    ("export", include_str!("../schema/export.json")),
    ("gc", include_str!("../schema/gc.json")),
    ("get", include_str!("../schema/get.json")),
    ("import", include_str!("../schema/import.json")),
    ("init", include_str!("../schema/init.json")),
    ("init-astra", include_str!("../schema/init-astra.json")),
    ("ls", include_str!("../schema/ls.json")),
    ("machines", include_str!("../schema/machines.json")),
    ("machines list", include_str!("../schema/machines-list.json")),
    ("machines retire", include_str!("../schema/machines-retire.json")),
    ("man", include_str!("../schema/man.json")),
    ("map", include_str!("../schema/map.json")),
    ("mcp", include_str!("../schema/mcp.json")),
    ("migrate", include_str!("../schema/migrate.json")),
    ("model add", include_str!("../schema/model-add.json")),
    ("model bench", include_str!("../schema/model-bench.json")),
    ("model drop", include_str!("../schema/model-drop.json")),
    ("model info", include_str!("../schema/model-info.json")),
    ("model list", include_str!("../schema/model-list.json")),
    ("model remove", include_str!("../schema/model-remove.json")),
    ("model verify", include_str!("../schema/model-verify.json")),
    ("path", include_str!("../schema/path.json")),
    ("patterns", include_str!("../schema/patterns.json")),
    ("patterns add", include_str!("../schema/patterns-add.json")),
    ("patterns edit", include_str!("../schema/patterns-edit.json")),
    ("patterns ls", include_str!("../schema/patterns-ls.json")),
    ("patterns query", include_str!("../schema/patterns-query.json")),
    ("patterns rm", include_str!("../schema/patterns-rm.json")),
    ("patterns show", include_str!("../schema/patterns-show.json")),
    ("patterns similar", include_str!("../schema/patterns-similar.json")),
    ("playlist", include_str!("../schema/playlist.json")),
    ("playlist add", include_str!("../schema/playlist-add.json")),
    ("playlist delete", include_str!("../schema/playlist-delete.json")),
    ("playlist edit", include_str!("../schema/playlist-edit.json")),
    ("playlist export", include_str!("../schema/playlist-export.json")),
    ("playlist import", include_str!("../schema/playlist-import.json")),
    ("playlist ls", include_str!("../schema/playlist-ls.json")),
    ("playlist move", include_str!("../schema/playlist-move.json")),
    ("playlist new", include_str!("../schema/playlist-new.json")),
    ("playlist rm", include_str!("../schema/playlist-rm.json")),
    ("playlist show", include_str!("../schema/playlist-show.json")),
    ("previews download", include_str!("../schema/previews-download.json")),
    ("previews search", include_str!("../schema/previews-search.json")),
    ("radio", include_str!("../schema/radio.json")),
    ("relocate", include_str!("../schema/relocate.json")),
    ("restore", include_str!("../schema/restore.json")),
    ("rm", include_str!("../schema/rm.json")),
    ("scan", include_str!("../schema/scan.json")),
    ("schema", include_str!("../schema/schema.json")),
    ("search", include_str!("../schema/search.json")),
    ("serve", include_str!("../schema/serve.json")),
    ("show", include_str!("../schema/show.json")),
    ("similar", include_str!("../schema/similar.json")),
    ("stats", include_str!("../schema/stats.json")),
    ("status", include_str!("../schema/status.json")),
    ("sync", include_str!("../schema/sync.json")),
    ("synths", include_str!("../schema/synths.json")),
    ("synths add", include_str!("../schema/synths-add.json")),
    ("synths edit", include_str!("../schema/synths-edit.json")),
    ("synths lineage", include_str!("../schema/synths-lineage.json")),
    ("synths link", include_str!("../schema/synths-link.json")),
    ("synths ls", include_str!("../schema/synths-ls.json")),
    ("synths rm", include_str!("../schema/synths-rm.json")),
    ("synths search", include_str!("../schema/synths-search.json")),
    ("synths show", include_str!("../schema/synths-show.json")),
    ("synths unlink", include_str!("../schema/synths-unlink.json")),
    ("trash", include_str!("../schema/trash.json")),
    ("trash empty", include_str!("../schema/trash-empty.json")),
    ("trash list", include_str!("../schema/trash-list.json")),
    ("trash restore", include_str!("../schema/trash-restore.json")),
    ("url", include_str!("../schema/url.json")),
    ("verify", include_str!("../schema/verify.json")),
    ("version", include_str!("../schema/version.json")),
];

/// What several of them name, as `definitions.json#/$defs/NAME`.
pub const DEFINITIONS: &str = include_str!("../schema/definitions.json");

#[cfg(test)]
mod tests {
    use songrec_core::DocumentKind;

    use super::*;

    #[test]
    fn a_sync_may_name_every_kind_of_document_that_is_synced() {
        let definitions: serde_json::Value = serde_json::from_str(DEFINITIONS).unwrap();
        let kinds = &definitions["$defs"]["document_work"]["properties"]["kind"]["enum"];
        let synced: Vec<&str> = DocumentKind::SYNCED.map(DocumentKind::as_str).into();
        assert_eq!(*kinds, serde_json::json!(synced));
    }
}
