//! Everything together: addresses, guards, pages.

use axum::{
    Router,
    extract::Request,
    http::header,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::Value;
use songrec_library::Library;
use tower_http::compression::{
    CompressionLayer,
    predicate::{DefaultPredicate, NotForContentType, Predicate},
};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{
    Options, dashboard, doors,
    openapi::described,
    problem::Problem,
    routes,
    server::{Server, Shared},
};

/// A library as a service of HTTP.
pub fn app(library: Library, options: Options) -> Router {
    router(Server::new(library, options))
}

/// The OpenAPI document of all addresses.
pub fn document() -> Value {
    described(routes::all().split_for_parts().1)
}

pub(crate) fn router(server: Shared) -> Router {
    let (routes, api) = routes::all().split_for_parts();
    let document = described(api).to_string();
    let openapi = move || {
        let document = document.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], document) }
    };
    // The page of Swagger comes with the program and asks no other host for anything. Its
    // bar for other documents has an inline style, which the policy refuses; and it could
    // show no document but this one.
    let docs = SwaggerUi::new("/docs").config(Config::from("/openapi.json").use_base_layout());
    let docs: Router<Shared> = docs.into();
    let compression = CompressionLayer::new().compress_when(
        DefaultPredicate::new()
            .and(NotForContentType::const_new("audio/"))
            .and(NotForContentType::const_new("application/x-npy")),
    );
    routes
        .route("/openapi.json", get(openapi))
        .merge(docs)
        .fallback(dashboard::page)
        .method_not_allowed_fallback(no_method)
        .layer(compression)
        .layer(middleware::from_fn_with_state(server.clone(), doors::guard))
        .with_state(server)
}

async fn no_method(request: Request) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    Problem::new("method_not_allowed", format!("`{path}` has no method `{method}`"))
        .tip("`/docs` lists all addresses with their methods")
        .into_response()
}
