//! What commands about previews print.

use serde_json::json;

use super::Shapes;
use crate::{
    previews::{Does, Service},
    world::World,
};

/// Tracks of two services that are on this machine.
pub(super) fn previews(shapes: &Shapes) {
    let (world, service) = (World::new(), Service::start());
    service.settle(&world);
    let run = |arguments: &[&str]| shapes.run(&world, &[&["previews"], arguments].concat());
    let sound = json!({
        "id": 55, "name": "Rain", "license": "https://creativecommons.org/licenses/by/4.0/",
        "previews": {"preview-hq-mp3": service.url("/2")},
    });
    service.set("/apiv2/search/text/", Does::Json(json!({"count": 1, "results": [sound]})));
    run(&["search", "air"]);
    run(&["search", "rain", "--service", "freesound"]);
    run(&["search", "air", "--limit", "999"]);
    run(&["download", "101", "--dry-run"]);
    run(&["download", "101", "999"]);
    run(&["download", "air", "--scan"]);
    run(&["download", "air", "--scan"]);
    run(&["download", "rain", "--service", "freesound", "--scan"]);
    run(&["search", "air"]);
    let id = &world.ids()[0];
    shapes.run(&world, &["url", id]);
    service.set("/search", Does::Json(json!({"results": []})));
    run(&["search", "nobody"]);
    run(&["download", "nobody"]);
    service.set("/search", Does::Status("500 Oops"));
    run(&["search", "air"]);
}
