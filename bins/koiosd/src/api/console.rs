//! The example console: the static files of `examples/console/`, compiled in. Without a token, since they hold nothing
//! secret: whoever opens the page brings the token along.

use actix_web::{
    HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
    web::ServiceConfig,
};

use super::routes;
use crate::config::Settings;

/// A file of the page.
struct StaticFile {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

const FILES: [StaticFile; 3] = [
    StaticFile {
        path: "/console/",
        media_type: "text/html; charset=utf-8",
        text: include_str!("../../../../examples/console/index.html"),
    },
    StaticFile {
        path: "/console/console.js",
        media_type: "text/javascript; charset=utf-8",
        text: include_str!("../../../../examples/console/console.js"),
    },
    StaticFile {
        path: "/console/console.css",
        media_type: "text/css; charset=utf-8",
        text: include_str!("../../../../examples/console/console.css"),
    },
];

/// Only the page's own files run, and it talks to its own daemon only: a name that is markup stays without effect even if
/// the script had a mistake. No form may send a token anywhere, and no other page may frame this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Nothing unless the setting asks for it: then these paths answer 404 as any other.
pub(crate) fn configure(config: &mut ServiceConfig, settings: &Settings) {
    if !settings.console {
        return;
    }
    routes::at("/console").get(to_console).register(config);
    for file in &FILES {
        routes::at(file.path).get(async || answer(file)).register(config);
    }
}

fn answer(file: &StaticFile) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, file.media_type))
        // The next version of the daemon has another page, under the same name.
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .body(file.text)
}

async fn to_console() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/console/")).finish()
}
