//! The example console, in a real browser: what people see, and can reach by keyboard.

use std::path::{Path, PathBuf};

use koios_testkit::{
    Browser, CertificateSpec, ColorScheme, Server, ServerOptions, Stack, TestCertificate, TestKey,
};
use serde_json::{Value, json};

use crate::daemon::{ADMIN, Daemon, Setup};

/// What would run if it were taken for markup.
const MARKUP: &str = "<img src=x onerror=\"window.hacked=1\">";

const STAGES: usize = 11;

#[test]
fn the_console_is_served_without_a_token_and_only_when_asked_for() {
    let files = ["/console", "/console/", "/console/console.js", "/console/console.css"];
    let daemon = Setup::empty().start();
    for path in files {
        daemon.call("GET", path).without_token().send().expect_problem(404, "not_found");
    }
    for setup in [
        Setup::empty().with_arguments(&["serve", "--console"]),
        Setup::empty().with_environment("KOIOS_CONSOLE", "true"),
    ] {
        let daemon = setup.start();
        let redirect = daemon.call("GET", "/console").without_token().send();
        assert_eq!((redirect.status, redirect.header("location")), (308, Some("/console/")));
        for (path, media_type, begin) in [
            ("/console/", "text/html; charset=utf-8", "<!doctype html>"),
            ("/console/console.js", "text/javascript; charset=utf-8", "// The example console"),
            ("/console/console.css", "text/css; charset=utf-8", "/* The example console"),
        ] {
            let file = daemon.call("GET", path).without_token().send();
            assert_eq!(file.status, 200, "{path}");
            assert!(file.text().starts_with(begin), "{path}");
            let head = daemon.call("HEAD", path).without_token().send();
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
            for answer in [file, head] {
                assert_eq!(answer.header("content-type"), Some(media_type), "{path}");
                assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
                assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
                let policy = answer.header("content-security-policy").unwrap();
                assert!(
                    policy.starts_with(
                        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                         img-src 'self' data:;"
                    ),
                    "{policy}"
                );
            }
            let refused = daemon.call("POST", path).without_token().send();
            refused.expect_problem(405, "method_not_allowed");
            assert_eq!(refused.header("allow"), Some("GET, HEAD"), "{path}");
        }
        daemon.call("GET", "/console/nothing.js").without_token().send().expect_problem(404, "not_found");
    }
}

#[test]
fn the_page_has_no_inline_script_or_style_and_no_foreign_address() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/console");
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    let script = std::fs::read_to_string(folder.join("console.js")).unwrap();
    let style = std::fs::read_to_string(folder.join("console.css")).unwrap();
    for word in page.split_whitespace() {
        let inline = word.contains('=') && (word.starts_with("style=") || word.starts_with("on"));
        assert!(!inline && !word.starts_with("<style"), "{word}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "localStorage"] {
        // A comment may name it.
        let used =
            script.lines().any(|line| line.contains(word) && !line.trim_start().starts_with(['*', '/']));
        assert!(!used, "{word}");
    }
    for text in [&page, &script, &style] {
        for line in text.lines().filter(|line| line.contains("http://") || line.contains("https://")) {
            // A name, not an address.
            assert!(line.contains("http://www.w3.org/2000/svg"), "{line}");
        }
    }
}

#[test]
fn certificates_are_shown_made_uploaded_regenerated_and_deleted() {
    let Some(mut console) = Console::start(Setup::new()) else { return };
    console.sign_in();

    // R2, R4: the table with star and badges.
    assert_eq!(console.row("Default")[..1], ["Default"], "the star in words");
    assert!(console.row("Default").contains(&"Valid".to_owned()), "{:?}", console.row("Default"));

    // R5: what is refused is told beside its field; the result is shown with its detail (R7).
    let browser = &mut console.browser;
    browser.click_on("button", "Generate…");
    browser.click_on("button", "Generate");
    browser.wait_until(
        "document.activeElement.id === 'generate-name' && document.activeElement.ariaInvalid === 'true'",
    );
    assert!(browser.text().contains("invalid_field"), "{}", browser.text());
    browser.fill("Name", "Plant A");
    browser.fill("Hostname (optional)", "gw01.plant.example");
    browser.click_on("checkbox", "Make it the default certificate");
    browser.wait_for_text("Devices without a certificate of their own use the default");
    browser.click_on("checkbox", "Make it the default certificate");
    browser.click_on("button", "Generate");
    browser.wait_for_text("Generated. Download the .der");
    let made = console.daemon.get("certificates?q=Plant").expect(200)["items"][0].clone();
    let text = console.browser.text();
    for shown in [
        "Koios@gw01.plant.example",
        "urn:koios:gw01.plant.example:plant-a",
        "Valid From",
        "Valid Until",
        "Organization",
        "No device uses it.",
        made["thumbprint_sha1"].as_str().unwrap(),
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }

    // R8: downloads carry the token in a header; a key leaves only after a warning.
    let browser = &mut console.browser;
    let (name, der) = browser.download(|browser| browser.click_on("button", "Certificate (.der)"));
    assert_eq!(name, "plant-a.der");
    assert_eq!(koios_pki::Sha1Thumbprint::of(&der).to_string(), made["thumbprint_sha1"].as_str().unwrap());
    browser.click_on("button", "Private key (.pem)…");
    browser.wait_for_text("whoever has this file can impersonate Koios");
    let (name, key) = browser.download(|browser| browser.click_on("button", "Download the private key"));
    assert_eq!(name, "plant-a-private-key.pem");
    assert!(key.starts_with(b"-----BEGIN PRIVATE KEY-----"));
    browser.wait_until("!document.querySelector('#confirm').open");
    browser.click_on("button", "Private key (.pem)…");
    browser.fill("Encrypt it under a passphrase (recommended)", "of the plant");
    let (_, key) = browser.download(|browser| browser.click_on("button", "Download the private key"));
    assert!(key.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    browser.wait_until("!document.querySelector('#confirm').open");

    // By keyboard: Escape closes the drawer, the focus goes back, Enter opens it.
    let name =
        "document.activeElement.dataset.key === 'open' && document.activeElement.textContent === 'Plant A'";
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#drawer').open");
    let opener = browser.find("button", "Plant A");
    browser.run_on(&opener, "function () { this.focus(); }");
    browser.press("Enter");
    browser.wait_until("document.querySelector('#drawer').open");
    browser.press("Escape");
    browser.wait_until(&format!("!document.querySelector('#drawer').open && {name}"));

    upload(&mut console);
    regenerate(&mut console, &made);
    delete(&mut console);
    console.finish();
}

/// R6: a pair from elsewhere; one whose parts do not belong together is refused.
fn upload(console: &mut Console) {
    let folder = tempfile::TempDir::new().unwrap();
    let pair = CertificateSpec::application("urn:plant:uploaded").make();
    let [certificate, key, other] = write_pair(folder.path(), &pair);
    let browser = &mut console.browser;
    browser.click_on("button", "Upload…");
    browser.fill("Name", "From the plant");
    browser.choose_file("#upload-certificate", &certificate);
    browser.choose_file("#upload-private-key", &other);
    browser.click_on("button", "Upload");
    browser.wait_for_text("key_mismatch");
    browser.choose_file("#upload-private-key", &key);
    browser.click_on("button", "Upload");
    browser.wait_for_text("urn:plant:uploaded");
    browser.wait_until("document.querySelector('#drawer .result').textContent.startsWith('Uploaded')");
    assert!(browser.text().contains(&pair.sha1()), "{}", browser.text());
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#drawer').open");
    assert!(console.row("From the plant").contains(&"Valid".to_owned()));
}

fn write_pair(folder: &Path, pair: &TestCertificate) -> [PathBuf; 3] {
    let files = [
        ("certificate.der", pair.der().to_vec()),
        ("key.pem", pair.key_pem().as_bytes().to_vec()),
        ("other.pem", TestKey::shared(2048, 1).pem().as_bytes().to_vec()),
    ];
    files.map(|(name, contents)| {
        let path = folder.join(name);
        std::fs::write(&path, contents).unwrap();
        path
    })
}

/// R9: whom it concerns is said before and after.
fn regenerate(console: &mut Console, made: &Value) {
    let device = json!({
        "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign", "certificate_id": made["id"]
    });
    console.daemon.post("devices", &device).expect(201);
    let path = format!("certificates/{}", made["id"].as_str().unwrap());
    let browser = &mut console.browser;
    browser.click_on("button", "Plant A");
    browser.wait_for_text("Used by 1 device");
    browser.wait_for_text("Press 4");
    browser.click_on("button", "Regenerate…");
    browser.wait_for_text("Affected: 1 device");
    let before = browser.text();
    let message = console.daemon.post(&format!("{path}/regenerate?dry_run=true"), &json!({})).expect(200);
    let retrust = "rejects connections until it trusts the new certificate";
    assert!(message["message"].as_str().unwrap().contains(retrust), "{message}");
    for shown in ["Press 4", message["message"].as_str().unwrap()] {
        assert!(before.contains(shown), "{shown}: {before}");
    }
    assert_eq!(console.daemon.get(&path).expect(200)["generation"], 1, "only asked so far");

    browser.click_on("button", "Regenerate");
    browser.wait_for_text("Plant A is regenerated");
    let after = browser.text();
    let renewed = console.daemon.get(&path).expect(200);
    assert_eq!(renewed["generation"], 2);
    for shown in ["Press 4", retrust, renewed["thumbprint_sha1"].as_str().unwrap()] {
        assert!(after.contains(shown), "{shown}: {after}");
    }
    let (_, der) =
        browser.download(|browser| browser.click_on("button", "Download the new certificate (.der)"));
    assert_eq!(koios_pki::Sha1Thumbprint::of(&der).to_string(), renewed["thumbprint_sha1"].as_str().unwrap());
    browser.press("Escape");
    browser.wait_for_text(renewed["thumbprint_sha256"].as_str().unwrap());

    // 412: somebody else was quicker.
    browser.fill("Description", "line 3");
    console.daemon.call("PATCH", &path).json(&json!({ "description": "line 2" })).send().expect(200);
    browser.click_on("button", "Save");
    browser.wait_for_text("Somebody else has changed this meanwhile.");
    assert_eq!(console.daemon.get(&path).expect(200)["description"], "line 2");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#drawer').open");
}

/// R4, R10: the default cannot be deleted, until another one is.
fn delete(console: &mut Console) {
    let browser = &mut console.browser;
    browser.click_on("button", "Default");
    browser.click_on("button", "Delete…");
    browser.wait_for_text("Default cannot be deleted");
    assert!(browser.text().contains("default_certificate_required"), "{}", browser.text());
    assert!(!browser.has("button", "Delete"), "nothing to confirm");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#confirm').open");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#drawer').open");

    browser.click_on("button", "Make From the plant the default");
    browser.wait_for_text("The default now is Default.");
    browser.click_on("button", "Make it the default");
    browser.wait_for_text("From the plant is the default now.");
    assert_eq!(console.row("From the plant")[0], "Default");

    // Its device falls back to the default, and that is said before.
    let browser = &mut console.browser;
    browser.click_on("button", "Plant A");
    browser.click_on("button", "Delete…");
    browser.wait_for_text("1 device will use the default certificate, From the plant");
    assert!(browser.text().contains("Press 4"), "{}", browser.text());
    browser.click_on("button", "Delete");
    browser.wait_for_text("Plant A is deleted.");
    assert_eq!(console.daemon.get("certificates").expect(200)["total"], 2);
}

#[test]
fn a_device_is_made_with_a_certificate_of_its_own_and_tested_stage_by_stage() {
    let Some(mut console) = Console::start(Setup::empty()) else { return };
    let options = ServerOptions { application_name: MARKUP.to_owned(), ..ServerOptions::default() };
    let server = koios_testkit::start(Stack::AsyncOpcua, options).expect("always there");
    console.sign_in();
    let browser = &mut console.browser;
    browser.wait_for_text("There is no certificate yet.");

    // R11, R12.
    browser.click_on("button", "Add a device…");
    browser.wait_for_text("Security mode None needs no certificate.");
    browser.fill("Endpoint URL", &server.endpoint_url);
    browser.choose("Security mode", "Sign & Encrypt");
    browser.click_on("button", "Generate a certificate for this device");
    browser.fill("Name", "For press 4");
    browser.click_on("button", "Generate");
    browser.wait_for_text("For press 4 is generated and selected.");
    let certificate = console.daemon.get("certificates").expect(200)["items"][0].clone();
    let chosen = browser.evaluate("document.querySelector('#device-certificate').value");
    assert_eq!(chosen, certificate["id"]);

    // R13, R14: unsaved, and refused by a server that does not know the certificate.
    browser.click_on("button", "Test");
    browser.wait_for_text("Certificate rejected by server");
    let text = browser.text();
    assert!(text.contains("What may be behind it") && text.contains("What to do"), "{text}");
    let outcomes = stages(browser);
    assert_eq!(outcomes.len(), STAGES);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "failed").count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.last().unwrap(), "skipped");
    console.screenshots("test-refused");
    let browser = &mut console.browser;
    let (_, der) = browser.download(|browser| browser.click_on("button", "Download it (.der)"));
    server.trust_der(&der);

    browser.fill("Name", "Press 4");
    browser.click_on("button", "Test");
    browser.wait_for_text("Connected");
    browser.wait_until("document.querySelector('#test .verdict.good')");
    assert_eq!(stages(browser), vec!["passed"; STAGES]);
    assert!(browser.text().contains(MARKUP), "{}", browser.text());
    console.screenshots("test-passed");

    let browser = &mut console.browser;
    browser.click_on("button", "Save");
    browser.wait_for_text("Added: Press 4.");
    let device = console.daemon.get("devices").expect(200)["items"][0].clone();
    assert_eq!(device["certificate_id"], certificate["id"]);
    assert!(console.row("Press 4").contains(&"Stopped".to_owned()), "{:?}", console.row("Press 4"));

    by_itself(&mut console, &server, certificate["thumbprint_sha1"].as_str().unwrap());
    passwords(&mut console, &server);
    console.finish();
}

/// R15, R18: what an enabled device does is shown as it happens; where trust is missing, the steps are.
fn by_itself(console: &mut Console, server: &Server, sha1: &str) {
    let state = |code: &str| format!("document.querySelector('#devices tbody [data-code={code}]')");
    let browser = &mut console.browser;
    browser.click_on("button", "Enable Press 4");
    browser.wait_until(&state("running"));
    browser.click_on("button", "Disable Press 4");
    browser.wait_until(&state("stopped"));
    server.distrust(sha1);
    browser.click_on("button", "Test Press 4");
    browser.wait_for_text("Certificate rejected by server");
    browser.click_on("button", "Show the steps");
    browser.wait_until("document.querySelector('#test .guide ol li')");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#device').open");
}

fn stages(browser: &mut Browser) -> Vec<String> {
    let outcomes = browser
        .evaluate("[...document.querySelectorAll('#test .stage')].map((stage) => stage.dataset.outcome)");
    outcomes.as_array().unwrap().iter().map(|outcome| outcome.as_str().unwrap().to_owned()).collect()
}

/// A stored password is never shown, and stays at its address.
fn passwords(console: &mut Console, server: &Server) {
    let device = |console: &Console| console.daemon.get("devices").expect(200)["items"][0].clone();
    let browser = &mut console.browser;
    browser.click_on("button", "Press 4");
    browser.choose("User", "User name and password");
    browser.fill("User name", "op");
    browser.fill("Password", "secret of the press");
    browser.click_on("button", "Save");
    browser.wait_for_text("Changed: Press 4.");
    let identity = json!({ "type": "username", "username": "op", "password_set": true });
    assert_eq!(device(console)["user_identity"], identity);

    let browser = &mut console.browser;
    browser.click_on("button", "Press 4");
    browser.wait_for_text("One is stored. Leave this blank to keep it");
    assert_eq!(browser.evaluate("document.querySelector('#device-password').value"), "");
    browser.fill("Endpoint URL", "opc.tcp://127.0.0.1:1/");
    browser.click_on("button", "Save");
    browser.wait_until("document.activeElement.id === 'device-password'");
    assert!(browser.text().contains("password_required"), "{}", browser.text());
    browser.fill("Endpoint URL", &server.endpoint_url);
    browser.fill("Description (optional)", "by the window");

    // Somebody else was quicker.
    let path = format!("devices/{}", device(console)["id"].as_str().unwrap());
    console.daemon.call("PATCH", &path).json(&json!({ "scan_rate_seconds": 5 })).send().expect(200);
    let browser = &mut console.browser;
    browser.click_on("button", "Save");
    browser.wait_for_text("Somebody else has changed this meanwhile.");
    assert_eq!(device(console)["description"], Value::Null);
    let browser = &mut console.browser;
    browser.press("Escape");
    browser.click_on("button", "Press 4");
    browser.fill("Description (optional)", "by the window");
    browser.click_on("button", "Save");
    browser.wait_for_text("Changed: Press 4.");
    let changed = device(console);
    assert_eq!(
        (&changed["description"], &changed["scan_rate_seconds"]),
        (&json!("by the window"), &json!(5.0))
    );
    assert_eq!(changed["user_identity"], identity, "the password was kept");
}

#[test]
fn names_are_text_files_may_be_missing_and_words_may_be_new() {
    let Some(mut console) = Console::start(Setup::empty()) else { return };
    let certificate = console
        .daemon
        .post("certificates/generate", &json!({ "name": MARKUP, "description": MARKUP, "hostname": "gw01" }))
        .expect(201);
    let device = json!({
        "name": MARKUP, "description": MARKUP, "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign",
        "certificate_id": certificate["id"]
    });
    console.daemon.post("devices", &device).expect(201);
    console.sign_in();
    assert!(console.row(MARKUP).iter().any(|cell| cell.contains(MARKUP)));
    let browser = &mut console.browser;
    browser.click_on("button", MARKUP);
    browser.wait_for_text("Used by 1 device");
    browser.click_on("button", "Regenerate…");
    browser.wait_for_text("Affected: 1 device");
    assert!(browser.text().contains(MARKUP), "{}", browser.text());
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#regenerate').open");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#drawer').open");
    browser.click_on("button", &format!("Test {MARKUP}"));
    browser.wait_until("document.querySelector('#test .verdict.bad')");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#device').open");

    // R3: computed at each request, from the disk.
    let key = console.daemon.files_of(&certificate).join("private-key.pem");
    let aside = key.with_extension("aside");
    std::fs::rename(&key, &aside).unwrap();
    browser.click_on("button", "Refresh");
    browser.wait_until("document.querySelector('#certificates [data-code=missing_files]')");
    assert!(console.row(MARKUP).contains(&"Missing files".to_owned()));
    let browser = &mut console.browser;
    let opener = browser.evaluate("document.querySelector('#certificates [data-key=open]').click()");
    assert_eq!(opener, Value::Null);
    browser.wait_for_text("Downloads are unavailable: the private key's file is not on the disk");
    let download = browser.find("button", "Certificate (.der)");
    assert_eq!(browser.run_on(&download, "function () { return this.disabled; }"), true);
    console.screenshots("missing-files");
    let browser = &mut console.browser;
    std::fs::rename(&aside, &key).unwrap();
    // The drawer, too, is kept up to date; of files no event tells, and by itself the page asks once a minute.
    browser.evaluate("document.querySelector('#refresh').click()");
    browser.wait_until("!document.querySelector('#drawer-content [data-code=missing_files]')");
    browser.press("Escape");
    browser.wait_until("!document.querySelector('#certificates [data-code=missing_files]')");

    // What others do comes by itself.
    let browser = &mut console.browser;
    browser.wait_for_text("Updates: live");
    console.daemon.generate("From elsewhere");
    browser.wait_for_text("From elsewhere");
    assert_eq!(browser.evaluate("[window.hacked ?? null, document.images.length]"), json!([null, 0]));

    // Enumerations grow: what the page does not know it shows as it comes.
    browser.before_each_page(
        "const real = window.fetch;
         window.fetch = async (...request) => {
            const answer = await real(...request);
            const text = (await answer.clone().text()).replaceAll('\"valid\"', '\"under_review\"')
                .replaceAll('\"auto\"', '\"Future_Policy\"').replaceAll('\"pin\"', '\"ask_somebody\"');
            return String(request[0]).includes('/certificates?') || String(request[0]).includes('/devices')
                ? new Response(text, { status: answer.status, headers: answer.headers }) : answer;
         };",
    );
    let url = console.url();
    let browser = &mut console.browser;
    // The token of this tab is still there.
    browser.open(&url);
    browser.wait_for_text("Under review");
    browser.wait_for_text("Future_Policy");
    let open = format!("Test {MARKUP}");
    assert!(browser.has("button", &open));
    browser.evaluate("document.querySelector('#devices [data-key=open]').click()");
    browser.wait_until("document.querySelector('#device').open");
    let shown = "document.querySelector('#device form').elements";
    assert_eq!(browser.evaluate(&format!("{shown}.security_policy.value")), "Future_Policy");
    assert_eq!(browser.evaluate(&format!("{shown}.server_certificate_policy.value")), "ask_somebody");
    assert_eq!(browser.evaluate("window.hacked ?? null"), Value::Null);
    console.finish();
}

/// R3: what has ended is told, becomes the default by force only, and gets a new pair in its place.
#[test]
fn an_expired_certificate_is_flagged_made_the_default_by_force_only_and_replaced() {
    let Some(mut console) = Console::start(Setup::empty()) else { return };
    console.daemon.generate("In use");
    let folder = tempfile::TempDir::new().unwrap();
    let expired = CertificateSpec::application("urn:plant:old").expired().make();
    let fields: [(&str, &[u8]); 3] =
        [("name", b"Old"), ("certificate", expired.der()), ("private_key", expired.key_pem().as_bytes())];
    let old = console.daemon.call("POST", "certificates/upload").form(&fields).send().expect(201);
    let device = json!({
        "name": "Press 4", "endpoint_url": "opc.tcp://127.0.0.1:1", "security_mode": "sign", "certificate_id": old["id"]
    });
    console.daemon.post("devices", &device).expect(201);
    console.sign_in();
    assert!(console.row("Old").contains(&"Expired".to_owned()), "{:?}", console.row("Old"));
    assert!(
        console.row("Press 4").iter().any(|cell| cell.contains("Expired")),
        "{:?}",
        console.row("Press 4")
    );

    let browser = &mut console.browser;
    browser.click_on("button", "Make Old the default");
    browser.wait_for_text("certificate_not_usable");
    browser.click_on("button", "Make it the default anyway…");
    browser.wait_for_text("The default now is In use.");
    browser.click_on("button", "Make it the default");
    browser.wait_for_text("Old is the default now.");

    let new = CertificateSpec::application("urn:plant:new").with_shared_key(2048, 1).make();
    let [certificate, _, key] = write_pair(folder.path(), &new);
    browser.click_on("button", "Old");
    browser.wait_for_text("It has expired, and servers refuse it");
    browser.click_on("button", "Replace…");
    browser.wait_for_text("1 device will present the new certificate");
    assert!(!browser.has("textbox", "Name"), "it keeps its name");
    browser.choose_file("#upload-certificate", &certificate);
    browser.choose_file("#upload-private-key", &key);
    browser.click_on("button", "Replace");
    browser.wait_for_text("application_uri_changed");
    browser.click_on("checkbox", "The new certificate may have another application URI");
    browser.click_on("button", "Replace");
    browser.wait_for_text("rejects connections until it trusts the new certificate");
    assert!(browser.text().contains(&new.sha1()), "{}", browser.text());
    let replaced = console.daemon.get(&format!("certificates/{}", old["id"].as_str().unwrap())).expect(200);
    assert_eq!((&replaced["is_default"], &replaced["statuses"]), (&json!(true), &json!(["valid"])));
    console.finish();
}

/// Were there a mistake in the script, nothing would come of it; and this test sees what the others would have to see.
#[test]
fn markup_that_a_mistake_let_through_would_be_stopped_by_the_policy_and_noticed() {
    let Some(mut console) = Console::start(Setup::empty()) else { return };
    let url = console.url();
    let browser = &mut console.browser;
    browser.open(&url);
    browser.wait_for_text("Enter a token");
    let nothing: Vec<String> = Vec::new();
    assert_eq!(browser.complaints(|_| false), nothing);
    let insert = format!("document.body.insertAdjacentHTML('beforeend', {})", Value::from(MARKUP));
    browser.evaluate(&insert);
    browser.wait_until("document.images[0].complete");
    let complaints = browser.complaints(|url| url.ends_with("/console/x"));
    assert!(complaints.iter().any(|text| text.contains("Content Security Policy")), "{complaints:?}");
    assert_eq!(browser.evaluate("window.hacked ?? null"), Value::Null);
}

#[test]
fn a_list_is_paged_searched_and_sorted_and_a_token_that_ends_leads_back_to_the_start() {
    let setup = Setup::empty();
    let Some(mut console) = Console::start(setup) else { return };
    for number in 0..30 {
        let device = json!({ "name": format!("Press {number:02}"), "endpoint_url": format!("opc.tcp://press{number}:4840") });
        console.daemon.post("devices", &device).expect(201);
    }
    console.sign_in();
    let rows = "document.querySelectorAll('#devices tbody tr').length";
    let browser = &mut console.browser;
    browser.wait_for_text("30 devices");
    browser.wait_until(&format!("{rows} === 25"));
    browser.click_on("button", "Next page");
    browser.wait_until(&format!("{rows} === 5"));
    assert!(browser.text().contains("Press 29"), "{}", browser.text());
    browser.click_on("button", "Previous page");
    browser.wait_until(&format!("{rows} === 25"));
    // Both tables have a column of that name; this is the one that is filled.
    browser.evaluate("document.querySelector('#devices th[data-sort=name] button').click()");
    browser.wait_until("document.querySelector('#devices th[data-sort=name]').ariaSort === 'descending'");
    browser
        .wait_until("document.querySelector('#devices tbody tr [data-key=open]').textContent === 'Press 29'");
    let search = browser.evaluate("document.querySelector('#devices-filter input').focus()");
    assert_eq!(search, Value::Null);
    let search = browser.find("searchbox", "Search");
    assert!(browser.run_on(&search, "function () { return this.type; }") == "search");
    browser.evaluate(
        "(() => { const input = document.querySelector('#devices-filter input'); input.value = 'press 17';
         input.dispatchEvent(new Event('input', { bubbles: true })); })()",
    );
    browser.wait_until(&format!("{rows} === 1"));
    browser.wait_for_text("1 device");

    // The token is nowhere but in the memory of this tab.
    let places = browser.evaluate("[location.href, document.cookie, JSON.stringify(localStorage)].join()");
    assert!(!places.as_str().unwrap().contains(ADMIN), "{places}");
    assert!(!console.daemon.log().contains(ADMIN));
    let browser = &mut console.browser;
    browser.evaluate("sessionStorage.setItem('koios-token', 'revoked-meanwhile-0123456789abcdef')");
    let url = console.url();
    console.browser.open(&url);
    console.browser.wait_for_text("This token is unknown, revoked or expired");
    assert_eq!(console.browser.evaluate("sessionStorage.length"), 0);
    console.finish();
}

#[test]
fn the_page_fits_narrow_and_wide_windows_and_everything_that_can_be_operated_has_a_name() {
    let Some(mut console) = Console::start(Setup::new()) else { return };
    for name in
        ["Plant A", "A certificate with a rather long name that somebody has given to it for a reason"]
    {
        let certificate = console.daemon.generate(name);
        let device = json!({
            "name": format!("Device of {name}"), "endpoint_url": "opc.tcp://127.0.0.1:1/a/rather/long/path/of/a/server",
            "security_mode": "sign_and_encrypt", "certificate_id": certificate["id"]
        });
        console.daemon.post("devices", &device).expect(201);
    }
    let url = console.url();
    console.browser.open(&url);
    console.browser.wait_for_text("Enter a token");
    console.screenshots("sign-in");
    console.sign_in();
    console.screenshots("lists");
    for (open, ready, name) in [
        ("Plant A", "Used by 1 device", "drawer"),
        ("Generate…", "Every server has to trust", "generate"),
        ("Upload…", "what is in the file decides", "upload"),
        ("Add a device…", "Endpoint URL", "device"),
    ] {
        console.browser.click_on("button", open);
        console.browser.wait_for_text(ready);
        console.screenshots(name);
        console.browser.press("Escape");
        console.browser.wait_until("!document.querySelector('dialog[open]')");
    }
    console.browser.click_on("button", "Plant A");
    console.browser.click_on("button", "Regenerate…");
    console.browser.wait_for_text("Affected: 1 device");
    console.screenshots("regenerate");
    console.finish();
}

/// The page in a browser, and its daemon.
struct Console {
    browser: Browser,
    daemon: Daemon,
}

impl Console {
    /// `None` where there is no browser.
    fn start(setup: Setup) -> Option<Self> {
        let browser = Browser::start_or_skip()?;
        let daemon = setup.with_arguments(&["serve", "--console"]).start();
        Some(Self { browser, daemon })
    }

    fn url(&self) -> String {
        format!("{}/console/", self.daemon.url)
    }

    /// Types the token in; first a wrong one.
    #[track_caller]
    fn sign_in(&mut self) {
        let url = self.url();
        let browser = &mut self.browser;
        browser.open(&url);
        browser.fill("Token", "no-token-of-this-daemon-0123456789");
        browser.click_on("button", "Continue");
        browser.wait_for_text("This token is unknown, revoked or expired");
        browser.fill("Token", ADMIN);
        browser.press("Enter");
        browser.wait_for_text("Devices");
        browser.wait_until(
            "!document.querySelector('#workspace').hidden && !document.querySelector('[aria-busy]')",
        );
        browser.wait_until("document.querySelector('#devices-total').textContent");
    }

    /// The cells of the row with that name, in words.
    #[track_caller]
    fn row(&mut self, name: &str) -> Vec<String> {
        let row = format!(
            "[...document.querySelectorAll('tbody tr')].find((row) =>
                row.querySelector('[data-key=open]').textContent === {})",
            Value::from(name)
        );
        self.browser.wait_until(&row);
        let cells = self.browser.evaluate(&format!("[...({row}).cells].map((cell) => cell.textContent)"));
        cells.as_array().unwrap().iter().map(|cell| cell.as_str().unwrap().to_owned()).collect()
    }

    /// Nothing is wider than the window, and nothing lacks a name, whatever the width and the colours; the images are for
    /// people to look at.
    #[track_caller]
    fn screenshots(&mut self, name: &str) {
        for (width, height) in [(1600, 1000), (400, 900)] {
            for (colors, suffix) in [(ColorScheme::Light, "light"), (ColorScheme::Dark, "dark")] {
                self.browser.resize(width, height, colors);
                let overflow = self.browser.evaluate(
                    "[...document.querySelectorAll('dialog[open]'), document.documentElement]
                        .map((root) => root.scrollWidth - root.clientWidth).filter((more) => more > 0).length",
                );
                assert_eq!(overflow, 0, "{name} is wider than {width}");
                let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("console");
                self.browser.screenshot(&folder.join(format!("{name}-{width}-{suffix}.png")));
            }
        }
        self.browser.resize(1280, 900, ColorScheme::Light);
        assert_eq!(self.browser.nameless_controls(), Vec::<String>::new(), "{name}");
    }

    /// No error in the page, and no violation of its policy.
    #[track_caller]
    fn finish(mut self) {
        let api = format!("{}/api/v1/", self.daemon.url);
        let complaints = self.browser.complaints(|url| url.starts_with(&api));
        assert_eq!(complaints, Vec::<String>::new());
        // A request with the token in its address would stand in the log.
        assert!(!self.daemon.log().contains(ADMIN));
    }
}
