//! A browser and words to use it with. Each waits for what it needs, with a deadline, and looks again when a page that follows
//! the cluster has been replaced in between.

use std::panic::AssertUnwindSafe;

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, wd::WebDriverCompatibleCommand};
use futures::FutureExt;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use test_support::{unique, until_ok};
use tokio::sync::Semaphore;

use crate::world::World;

/// A browser is heavy: so many at a time.
static SEATS: Semaphore = Semaphore::const_new(2);

/// A browser with its own profile.
pub(crate) struct Browser {
    pub(crate) client: Client,
    base: String,
}

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scripts {
    On,
    Off,
}

/// A command of Chromium's own protocol.
#[derive(Debug)]
struct Chromium(&'static str, Value);

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.0, "params": self.1 }).to_string()))
    }
}

/// Runs a test with a browser, which is closed however the test ends.
pub(crate) async fn with_browser(world: &World, scripts: Scripts, test: impl AsyncFnOnce(&Browser)) {
    let _seat = SEATS.acquire().await.unwrap();
    let browser = Browser::open(world, scripts).await;
    let outcome = AssertUnwindSafe(test(&browser)).catch_unwind().await;
    if outcome.is_err() {
        eprintln!("the page: {}", browser.client.source().await.unwrap_or_default());
    }
    let _ = browser.client.close().await;
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

impl Browser {
    async fn open(world: &World, scripts: Scripts) -> Self {
        let data = world.cluster.folder().join(unique("chromium"));
        let mut args: Vec<String> = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=900,700",
            // It ends with the driver, however that ends.
            "--remote-debugging-pipe",
        ]
        .map(str::to_owned)
        .into();
        args.push(format!("--user-data-dir={}", data.display()));
        let preferences = match scripts {
            Scripts::On => json!({}),
            Scripts::Off => json!({ "profile.managed_default_content_settings.javascript": 2 }),
        };
        let options = json!({ "args": args, "binary": "/usr/bin/chromium", "prefs": preferences });
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&world.driver)
            .await
            .expect("a browser");
        Self { client, base: world.gateway.url() }
    }

    /// Becomes another user, and looks at their namespaces.
    pub(crate) async fn be(&self, user: &str) {
        self.client
            .goto(&format!("{}/_dev/user?name={}", self.base, user.replace('@', "%40")))
            .await
            .unwrap();
    }

    pub(crate) async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    pub(crate) async fn path(&self) -> String {
        self.client.current_url().await.unwrap().path().to_owned()
    }

    /// The text of an element.
    pub(crate) async fn text(&self, css: &str) -> Option<String> {
        self.client.find(Locator::Css(css)).await.ok()?.text().await.ok()
    }

    /// Waits until an element shows a text.
    pub(crate) async fn shows(&self, css: &str, text: &str) {
        until_ok(&format!("{css} shows {text:?}"), async || {
            let found = self.text(css).await.unwrap_or_else(|| "(nothing)".to_owned());
            if found.contains(text) { Ok(()) } else { Err(found) }
        })
        .await;
    }

    /// Whether there is an element of the page just loaded.
    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    /// Waits for an element.
    pub(crate) async fn find(&self, css: &str) -> Element {
        until_ok(css, async || self.client.find(Locator::Css(css)).await).await
    }

    /// Goes to a page by the menu.
    pub(crate) async fn menu(&self, text: &str) {
        self.click_in("nav", text).await;
    }

    /// Clicks on what has a text: a link or a button of the page's content.
    pub(crate) async fn click(&self, text: &str) {
        self.click_in("main", text).await;
    }

    async fn click_in(&self, part: &str, text: &str) {
        let path = format!("//{part}//*[self::a or self::button][normalize-space(.)='{text}']");
        until_ok(&format!("clicking {text:?}"), async || {
            self.client.find(Locator::XPath(&path)).await?.click().await
        })
        .await;
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        until_ok(&format!("typing into {css}"), async || {
            let field = self.client.find(Locator::Css(css)).await?;
            field.clear().await?;
            field.send_keys(text).await
        })
        .await;
    }

    /// Chooses from a list.
    pub(crate) async fn choose(&self, css: &str, value: &str) {
        until_ok(&format!("choosing {value} of {css}"), async || {
            self.client.find(Locator::Css(css)).await?.select_by_value(value).await
        })
        .await;
    }

    pub(crate) async fn value(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Runs a script of the test's, whether or not pages may.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Shows pages as on a screen of this width.
    pub(crate) async fn be_wide(&self, width: u32) {
        let size = json!({ "width": width, "height": 420, "deviceScaleFactor": 1, "mobile": false });
        self.chromium("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Prefers `light` or `dark`.
    pub(crate) async fn prefer(&self, scheme: &str) {
        // Without animations: what fades has no contrast.
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.chromium("Emulation.setEmulatedMedia", features).await;
    }

    /// A picture of the whole page, as PNG in Base64.
    pub(crate) async fn picture(&self) -> String {
        let height = self.run("return document.documentElement.scrollHeight").await;
        let width = self.run("return innerWidth").await;
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.chromium("Page.captureScreenshot", parameters).await;
        answer["data"].as_str().expect("a picture").to_owned()
    }

    async fn chromium(&self, command: &'static str, parameters: Value) -> Value {
        self.client.issue_cmd(Chromium(command, parameters)).await.unwrap()
    }
}
