//! What is served: the folder of the page, and the user's own profile.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, VARY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower_http::services::ServeDir;

/// The same policy as in index.html, which a host that sets no headers has to rely on, and what only a header can say.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; style-src-attr \
     'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src \
     'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Of the guide, whose pages mdBook gives scripts in the text. They read no input and send nothing.
const GUIDE_POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is served.
#[derive(Debug)]
pub(crate) struct Page {
    /// The folder with index.html and pkg/.
    pub(crate) www: PathBuf,
    /// A profile of the user's own, by name and content: profiles/NAME.json.
    pub(crate) own_profile: Option<(String, Vec<u8>)>,
}

impl Page {
    /// Answers requests until the process is ended.
    ///
    /// # Errors
    /// If the system refuses the listener.
    pub(crate) fn serve(self, listener: TcpListener) -> Result<()> {
        let mut router = Router::new();
        if let Some((name, profile)) = self.own_profile {
            let path = format!("/profiles/{name}.json");
            let profile = Bytes::from(profile);
            let answer = || async { ([(CONTENT_TYPE, "application/json")], profile).into_response() };
            router = router.route(&path, get(answer));
        }
        // What scripts/build-web.sh has compressed beside the files, for whoever takes it.
        let files = ServeDir::new(self.www).precompressed_br().precompressed_gzip();
        let router = router.fallback_service(files).layer(from_fn(guard));
        listener.set_nonblocking(true).context("the listener")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the server")?;
        runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })?;
        Ok(())
    }
}

/// Refuses what was not addressed to this machine by name, and sets the headers of every answer.
///
/// A page of somebody else's can have its own name resolve to 127.0.0.1 and then read what is served there (DNS
/// rebinding); but its name stands in `Host`.
async fn guard(request: Request, next: Next) -> Response {
    let policy = if request.uri().path().starts_with("/guide/") { GUIDE_POLICY } else { POLICY };
    let mut response = if is_own_host(request.headers()) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, Body::from("Only http://127.0.0.1 and http://localhost are served.\n")).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether `Host` is this machine's own name. Any port: it may be forwarded, as ssh does.
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let (name, port) = host.split_once(':').unwrap_or((host, "0"));
    (name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")) && port.parse::<u16>().is_ok()
}

/// The folder of the page: the one asked for, else `www` beside this program, else ./www.
///
/// # Errors
/// If there is none, or it is not built.
pub(crate) fn find_www(asked: Option<&Path>) -> Result<PathBuf> {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join("www")));
    let places = match asked {
        Some(place) => vec![place.to_owned()],
        None => beside.into_iter().chain([PathBuf::from("www")]).collect(),
    };
    let Some(www) = places.iter().find(|place| place.join("index.html").is_file()) else {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        bail!("there is no page (index.html) in {}: say where it is with --www", places.join(" nor in "));
    };
    for part in ["pkg/web.js", "pkg/web_bg.wasm", "pkg/simulator.wasm"] {
        if !www.join(part).is_file() {
            bail!("{} is missing: the page is not built; scripts/build-web.sh builds it", www.join(part).display());
        }
    }
    fs::canonicalize(www).with_context(|| www.display().to_string())
}
