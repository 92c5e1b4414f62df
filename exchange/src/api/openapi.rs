//! All routes, and their description (OpenAPI 3.1) with pages that show it, which need no network.

use axum::{Router, http::Uri};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::SwaggerUi;

use super::{
    Desk, ledger,
    problem::{Problem, ProblemCode},
    v1,
};

/// Where the description is.
pub const DESCRIPTION: &str = "/openapi.json";
/// Where the pages are.
pub const PAGES: &str = "/docs";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "gridcross",
        description = "Peer-to-peer energy between prosumers of different retailers. Every caller shows \
                       a certificate of the exchange's authority; writes are signed besides.",
    ),
    modifiers(&Schemes),
)]
struct Description;

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let certificate = SecurityScheme::MutualTls {
            description: Some("a certificate of the exchange's authority".to_owned()),
            extensions: None,
            deprecated: None,
        };
        components.add_security_scheme("certificate", certificate);
        let signature = ApiKeyValue::with_description(
            "Authorization",
            "Signature keyId=…, as docs/api.md describes",
        );
        let signature = SecurityScheme::ApiKey(ApiKey::Header(signature));
        components.add_security_scheme("signature", signature);
    }
}

/// The routes, and their description.
pub(super) fn router() -> (Router<Desk>, utoipa::openapi::OpenApi) {
    let (router, description) = OpenApiRouter::<Desk>::with_openapi(Description::openapi())
        .routes(routes!(ledger::put))
        .routes(routes!(ledger::record))
        .routes(routes!(ledger::allocate))
        .routes(routes!(ledger::get))
        .routes(routes!(v1::market::instruments))
        .routes(routes!(v1::market::slots))
        .routes(routes!(v1::market::auctions))
        .routes(routes!(v1::contracts::contracts))
        .routes(routes!(v1::contracts::contract))
        .routes(routes!(v1::contracts::proof))
        .routes(routes!(v1::settled::schedules))
        .routes(routes!(v1::settled::meter_files))
        .routes(routes!(v1::settled::declarations))
        .routes(routes!(v1::statements::statement))
        .routes(routes!(v1::events::events))
        .routes(routes!(v1::notices::notices))
        .routes(routes!(v1::webhook::webhook))
        .routes(routes!(v1::webhook::replay))
        .split_for_parts();
    let pages = SwaggerUi::new(PAGES).url(DESCRIPTION, description.clone());
    let router =
        router.merge(pages).fallback(unknown_path).method_not_allowed_fallback(wrong_method);
    (router, description)
}

async fn unknown_path(uri: Uri) -> Problem {
    let detail = format!("there is nothing here; {DESCRIPTION} describes what there is");
    Problem::new(ProblemCode::UnknownPath, detail).got(uri.path())
}

async fn wrong_method(uri: Uri) -> Problem {
    let detail = format!("not by this method; {DESCRIPTION} describes by which");
    Problem::new(ProblemCode::WrongMethod, detail).got(uri.path())
}
