//! A TypeScript client, generated from the document and compiled in strict mode, tells the README story.

use std::{fs, os::unix::fs::symlink, path::Path};

use koios_testkit::{ClientFixture, ServerOptions, Stack, start};

use super::run;
use crate::daemon::Setup;

#[test]
fn a_generated_typescript_client_compiles_in_strict_mode_and_tells_the_story() {
    let Some(fixture) = ClientFixture::find_or_skip("typescript") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let compiled = compile(&fixture, folder.path());
    assert!(compiled.is_ok(), "{}", compiled.unwrap_err());

    // The token of a first start is taken from its file, as a person would do it.
    let daemon = Setup::new().without_environment("KOIOS_BOOTSTRAP_TOKEN").start();
    let server = start(Stack::AsyncOpcua, ServerOptions::default()).expect("always there");
    let told = run(fixture
        .command()
        .arg(folder.path().join("build/story.js"))
        .env("KOIOS_URL", &daemon.url)
        .env("KOIOS_TOKEN_FILE", daemon.data_dir().join("initial-admin-token"))
        .env("ENDPOINT_URL", &server.endpoint_url)
        .env("REJECTED_FOLDER", server.pki.rejected.as_ref().expect("it keeps what it rejects"))
        .env("TRUSTED_FOLDER", &server.pki.trusted));
    assert!(told.is_ok(), "{}\n{}", told.unwrap_err(), daemon.log());
}

/// What the compiler would not say of a client without types.
#[test]
fn the_generated_types_refuse_what_the_daemon_would_refuse() {
    let Some(fixture) = ClientFixture::find_or_skip("typescript") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut story = fs::read_to_string(fixture.folder().join("story.ts")).expect("the story");
    story.push_str(
        "\nvoid koios.POST(\"/api/v1/certificates/generate\", { body: { name: \"A\", validity_days: \"9\" } });\n\
         void koios.POST(\"/api/v1/devices\", { body: { name: \"A\" } });\n\
         void koios.GET(\"/api/v1/certificates\", { params: { query: { sort: \"colour\" } } });\n",
    );
    let compiled = compile_story(&fixture, folder.path(), &story).expect_err("three mistakes");
    assert_eq!(compiled.matches("error TS").count(), 3, "{compiled}");
    for mistake in ["'string' is not assignable to type 'number'", "endpoint_url", "\"colour\""] {
        assert!(compiled.contains(mistake), "{mistake}: {compiled}");
    }
}

fn compile(fixture: &ClientFixture, folder: &Path) -> Result<String, String> {
    let story = fs::read_to_string(fixture.folder().join("story.ts")).expect("the story");
    compile_story(fixture, folder, &story)
}

fn compile_story(fixture: &ClientFixture, folder: &Path, story: &str) -> Result<String, String> {
    let modules = fixture.folder().join("node_modules");
    symlink(fs::canonicalize(&modules).expect("installed"), folder.join("node_modules")).expect("a link");
    for file in ["package.json", "tsconfig.json"] {
        fs::copy(fixture.folder().join(file), folder.join(file)).expect("a copy");
    }
    fs::write(folder.join("story.ts"), story).expect("a file");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    run(fixture
        .command()
        .arg(modules.join("openapi-typescript/bin/cli.js"))
        .args([&document, Path::new("--output"), &folder.join("generated/koios.d.ts")])
        .current_dir(folder))?;
    run(fixture.command().arg(modules.join("typescript/bin/tsc")).current_dir(folder))
}
