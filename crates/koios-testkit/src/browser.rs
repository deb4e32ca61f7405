//! A headless Chromium that a test drives as a person would: by what it reads and can reach.
//!
//! It speaks the [Chrome `DevTools` protocol](https://chromedevtools.github.io/devtools-protocol/) over two pipes, where each
//! message ends with a zero byte; that needs neither a driver program nor a WebSocket. Elements are found in the accessibility
//! tree, by role and name: what a screen reader cannot find, a test cannot click.

use std::env;
use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::skip;
use crate::skip::ran;

/// A browser with one page, without any profile of before. Ends when dropped.
pub struct Browser {
    process: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    session: Option<String>,
    last_id: u64,
    events: Vec<Value>,
    folder: TempDir,
}

/// An element of the page.
#[derive(Clone, Debug)]
pub struct Element {
    object: String,
}

/// The colours that a page is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the values of prefers-color-scheme")]
pub enum ColorScheme {
    Light,
    Dark,
}

impl Browser {
    /// Starts Chromium; `None`, after a word about it, where there is none.
    ///
    /// # Panics
    ///
    /// When it does not start, or is missing under `KOIOS_REQUIRE_INTEROP=1`.
    pub fn start_or_skip() -> Option<Self> {
        let Some(program) = chromium() else {
            skip("Chromium", "no program chromium in PATH (Debian's package chromium)");
            return None;
        };
        ran("Chromium");
        Some(Self::start(&program))
    }

    fn start(program: &Path) -> Self {
        let folder = TempDir::new().expect("a folder for the browser");
        let downloads = folder.path().join("downloads");
        fs::create_dir(&downloads).expect("a folder for downloads");
        let mut command = Command::new("sh");
        // --remote-debugging-pipe reads requests from descriptor 3 and writes answers to 4.
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"]).arg(program);
        command.args(FLAGS).arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
        // Chromium's sandbox does not work for root, as which CI containers run; the pages here are our own.
        if geteuid().is_root() {
            command.arg("--no-sandbox");
        }
        // Its crash handler and caches, too, keep to that folder.
        command.arg("about:blank").env("HOME", folder.path());
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("a shell starts the browser");
        let requests = process.stdin.take().expect("a piped standard input");
        let mut output = BufReader::new(process.stdout.take().expect("a piped standard output"));
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { break };
                if sender.send(value).is_err() {
                    break;
                }
                message.clear();
            }
        });
        let mut browser =
            Self { process, requests, answers, session: None, last_id: 0, events: Vec::new(), folder };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        let behavior = json!({ "behavior": "allow", "downloadPath": downloads, "eventsEnabled": true });
        browser.call("Browser.setDownloadBehavior", behavior);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens an address and waits until the page is loaded.
    pub fn open(&mut self, url: &str) {
        let begun = self.events.len();
        let answer = self.call("Page.navigate", json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.wait_for_event("Page.loadEventFired", begun, |_| true);
    }

    /// Runs this script in every page before the page's own.
    pub fn before_each_page(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// What an expression comes to in the page.
    ///
    /// # Panics
    ///
    /// When it throws.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let arguments = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        value(self.call("Runtime.evaluate", arguments), expression)
    }

    /// Waits until an expression is true in the page.
    ///
    /// # Panics
    ///
    /// When it does not become true; the message shows the page's text.
    #[track_caller]
    pub fn wait_until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.evaluate(&format!("Boolean({expression})")) != true {
            self.assert_patience(started, expression);
        }
    }

    /// Waits until the page, or what lies on top of it, shows this text.
    #[track_caller]
    pub fn wait_for_text(&mut self, text: &str) {
        self.wait_until(&format!("{TOP}.innerText.includes({})", Value::from(text)));
    }

    /// The text of the page, or of the dialog on top of it.
    pub fn text(&mut self) -> String {
        self.evaluate(&format!("{TOP}.innerText")).as_str().unwrap_or_default().to_owned()
    }

    /// Waits for the element with that role and accessible name. Behind an open dialog there is none.
    ///
    /// # Panics
    ///
    /// When none comes.
    #[track_caller]
    pub fn find(&mut self, role: &str, name: &str) -> Element {
        let started = Instant::now();
        loop {
            if let Some(element) = self.look_for(role, name) {
                return element;
            }
            self.assert_patience(started, &format!("{role} {name:?}"));
        }
    }

    /// Whether there is an element with that role and accessible name now.
    pub fn has(&mut self, role: &str, name: &str) -> bool {
        self.look_for(role, name).is_some()
    }

    fn look_for(&mut self, role: &str, name: &str) -> Option<Element> {
        let root = self.call("DOM.getDocument", json!({ "depth": 0 }))["root"]["backendNodeId"].clone();
        let query = json!({ "backendNodeId": root, "role": role, "accessibleName": name });
        let found = self.try_call("Accessibility.queryAXTree", query).ok()?;
        let node = found["nodes"].as_array()?.iter().find(|node| node["ignored"] == false)?.clone();
        // It may have gone meanwhile.
        let resolved = self.try_call("DOM.resolveNode", json!({ "backendNodeId": node["backendDOMNodeId"] }));
        Some(Element { object: resolved.ok()?["object"]["objectId"].as_str()?.to_owned() })
    }

    /// Clicks it with the mouse.
    ///
    /// # Panics
    ///
    /// When it is disabled, or something lies on top of it.
    #[track_caller]
    pub fn click(&mut self, element: &Element) {
        let place = self.run_on(element, PLACE);
        assert_eq!(place["hit"], true, "it cannot be clicked: {place}");
        self.click_at(&place);
    }

    fn click_at(&mut self, place: &Value) {
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({ "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Finds and clicks.
    #[track_caller]
    pub fn click_on(&mut self, role: &str, name: &str) {
        let started = Instant::now();
        loop {
            let element = self.find(role, name);
            // A row may be made anew between the two; then it is looked for again.
            let place = self.run_on(&element, PLACE);
            if place["hit"] == true {
                return self.click_at(&place);
            }
            self.assert_patience(started, &format!("{role} {name:?} can be clicked: {place}"));
        }
    }

    /// Puts text in the place of what is in an input.
    #[track_caller]
    pub fn fill(&mut self, name: &str, text: &str) {
        let element = self.find("textbox", name);
        self.fill_element(&element, text);
    }

    /// Puts text in the place of what is in an input of any kind.
    #[track_caller]
    pub fn fill_element(&mut self, element: &Element, text: &str) {
        self.run_on(element, "function () { this.focus(); this.select(); return true; }");
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Chooses an option of a select by its text.
    ///
    /// # Panics
    ///
    /// When there is none with that text.
    #[track_caller]
    pub fn choose(&mut self, name: &str, option: &str) {
        let element = self.find("combobox", name);
        let script = format!(
            "function () {{
                const found = [...this.options].find((option) => option.text === {option});
                if (!found || this.disabled) return false;
                this.value = found.value;
                for (const type of ['input', 'change']) this.dispatchEvent(new Event(type, {{ bubbles: true }}));
                return true;
            }}",
            option = Value::from(option)
        );
        assert_eq!(self.run_on(&element, &script), true, "{name} has no {option:?}");
    }

    /// Chooses a file in the file input with that CSS selector.
    #[track_caller]
    pub fn choose_file(&mut self, selector: &str, path: &Path) {
        let root = self.call("DOM.getDocument", json!({ "depth": 0 }))["root"]["nodeId"].clone();
        let input = self.call("DOM.querySelector", json!({ "nodeId": root, "selector": selector }));
        self.call("DOM.setFileInputFiles", json!({ "nodeId": input["nodeId"], "files": [path] }));
    }

    /// Presses a key that is no text: `Escape`, `Enter`, `Tab`.
    ///
    /// # Panics
    ///
    /// For other keys.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "Tab" => (9, ""),
            _ => panic!("no key {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Does something that leads to a download; answers its file's name and contents.
    #[track_caller]
    pub fn download(&mut self, start: impl FnOnce(&mut Self)) -> (String, Vec<u8>) {
        let begun = self.events.len();
        start(self);
        let name = self.wait_for_event("Browser.downloadWillBegin", begun, |_| true)["suggestedFilename"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.wait_for_event("Browser.downloadProgress", begun, |event| event["state"] == "completed");
        let path = self.downloads().join(&name);
        let contents = fs::read(&path).expect("the download is in its folder");
        fs::remove_file(path).expect("the download can be removed");
        (name, contents)
    }

    fn downloads(&self) -> PathBuf {
        self.folder.path().join("downloads")
    }

    /// Shows the page in a window of this size, in these colours.
    pub fn resize(&mut self, width: u32, height: u32, colors: ColorScheme) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if colors == ColorScheme::Dark { "dark" } else { "light" };
        // Nothing is caught in the middle of a movement.
        let features = json!({ "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// Writes what the window shows as PNG.
    pub fn screenshot(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let image = BASE64_STANDARD.decode(answer["data"].as_str().expect("an image")).expect("base64");
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the image");
        fs::write(path, image).expect("the image can be written");
    }

    /// Things that can be operated and have no name, as an accessibility tree shows them.
    pub fn nameless_controls(&mut self) -> Vec<String> {
        let tree = self.call("Accessibility.getFullAXTree", json!({}));
        let nodes = tree["nodes"].as_array().expect("nodes");
        let nameless = nodes.iter().filter(|node| {
            let role = node["role"]["value"].as_str().unwrap_or_default();
            CONTROLS.contains(&role)
                && node["ignored"] == false
                && node["name"]["value"].as_str().unwrap_or_default().trim().is_empty()
        });
        nameless.map(ToString::to_string).collect()
    }

    /// What the page has done wrong so far: uncaught errors, violations of its Content-Security-Policy, errors and warnings on
    /// the console. Answers that `expected` knows by their address may be refusals.
    pub fn complaints(&mut self, expected: impl Fn(&str) -> bool) -> Vec<String> {
        // Whatever was on its way comes before the answer.
        self.evaluate("null");
        self.events.iter().filter_map(|event| complaint(event, &expected)).collect()
    }

    /// Runs a function with the element as `this`.
    #[track_caller]
    pub fn run_on(&mut self, element: &Element, function: &str) -> Value {
        let arguments = json!({
            "functionDeclaration": function, "objectId": element.object, "returnByValue": true, "awaitPromise": true
        });
        value(self.call("Runtime.callFunctionOn", arguments), function)
    }

    #[track_caller]
    fn assert_patience(&mut self, started: Instant, wanted: &str) {
        if started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            return;
        }
        let (text, complaints) = (self.text(), self.complaints(|_| false));
        panic!("never came: {wanted}\n--- the page ---\n{text}\n--- its complaints ---\n{complaints:#?}");
    }

    /// Waits for an event after the first `begun` ones.
    #[track_caller]
    fn wait_for_event(&mut self, method: &str, begun: usize, fits: impl Fn(&Value) -> bool) -> Value {
        let mut next = begun;
        loop {
            while next == self.events.len() {
                let message = self.receive(method);
                self.events.push(message);
            }
            let event = &self.events[next];
            if event["method"] == method && fits(&event["params"]) {
                return event["params"].clone();
            }
            next += 1;
        }
    }

    #[track_caller]
    fn call(&mut self, method: &str, arguments: Value) -> Value {
        self.try_call(method, arguments).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    #[track_caller]
    fn try_call(&mut self, method: &str, arguments: Value) -> Result<Value, Value> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": arguments });
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let mut message = request.to_string().into_bytes();
        message.push(0);
        self.requests.write_all(&message).expect("the browser reads");
        loop {
            let mut message = self.receive(method);
            if message["id"] != self.last_id {
                self.events.push(message);
                continue;
            }
            return match message.get_mut("error") {
                Some(error) => Err(error.take()),
                None => Ok(message["result"].take()),
            };
        }
    }

    #[track_caller]
    fn receive(&mut self, waiting_for: &str) -> Value {
        self.answers
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|error| panic!("the browser says nothing about {waiting_for}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // With all its helpers.
        let group = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Gone already is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Browser({})", self.process.id())
    }
}

#[track_caller]
fn value(mut answer: Value, script: &str) -> Value {
    assert!(answer["exceptionDetails"].is_null(), "{script}\n{}", answer["exceptionDetails"]);
    answer["result"]["value"].take()
}

fn complaint(event: &Value, expected: &impl Fn(&str) -> bool) -> Option<String> {
    let parameters = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled"
            if ["error", "warning", "assert"].contains(&parameters["type"].as_str()?) =>
        {
            Some(parameters["args"].to_string())
        }
        "Log.entryAdded" => {
            let entry = &parameters["entry"];
            let refusal = entry["source"] == "network" && entry["url"].as_str().is_some_and(expected);
            let serious = entry["level"] == "error" || entry["level"] == "warning";
            (serious && !refusal).then(|| entry.to_string())
        }
        _ => None,
    }
}

fn chromium() -> Option<PathBuf> {
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|path| path.is_file())
}

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// No window, and nothing that a browser does for itself: no updates, no reports, no requests to its maker.
const FLAGS: [&str; 14] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
];

/// The dialog on top, else the page.
const TOP: &str = "([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body)";

/// Where the middle of an element is, and whether a click there hits it.
const PLACE: &str = "function () {
    this.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const box = this.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const hit = document.elementFromPoint(x, y);
    return { x, y, hit: !this.disabled && this.isConnected && (this === hit || this.contains(hit)), at: hit?.outerHTML };
}";

/// Roles of what can be operated.
const CONTROLS: [&str; 8] =
    ["button", "checkbox", "combobox", "link", "searchbox", "spinbutton", "textbox", "dialog"];
