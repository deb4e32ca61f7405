//! A Debian package, laid out here and packed by dpkg-deb: the binary, its unit, its settings, manual pages and completions.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::repository;

/// Makes the package of that binary, else of a release build; says where it is.
pub(crate) fn run(binary: Option<&str>) -> Result<ExitCode> {
    // A binary that is given is tried, not handed out: that the package is small would only cost time.
    let (binary, compression) = match binary {
        Some(path) => (std::path::absolute(path).context("no such path")?, ["-Zgzip", "-z1"]),
        None => (release_build()?, ["-Zxz", "-z6"]),
    };
    let folder = repository::root().join("target/debian");
    let tree = Tree { root: folder.join("root") };
    if tree.root.exists() {
        fs::remove_dir_all(&tree.root)
            .with_context(|| format!("{} cannot be removed", tree.root.display()))?;
    }
    tree.lay_out(&binary)?;
    let version = output(Command::new(&binary).arg("--version"))?;
    let version = version.trim().trim_start_matches("koiosd ").to_owned();
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?.trim().to_owned();
    tree.describe(&version, &architecture)?;
    let package = folder.join(format!("koios_{version}_{architecture}.deb"));
    let mut pack = Command::new("dpkg-deb");
    pack.args(compression).args(["--root-owner-group", "--build"]).args([&tree.root, &package]);
    if let Ok(time) = output(Command::new("git").args(["log", "-1", "--format=%ct"])) {
        // The same sources give the same package.
        pack.env("SOURCE_DATE_EPOCH", time.trim());
    }
    output(&mut pack)?;
    println!("{}", package.display());
    Ok(ExitCode::SUCCESS)
}

fn release_build() -> Result<PathBuf> {
    let status = repository::cargo()
        .args(["build", "--release", "--locked", "--package", "koiosd", "--bin", "koiosd"])
        .status()
        .context("cargo cannot be started")?;
    if !status.success() {
        bail!("the release build ended with {status}");
    }
    Ok(repository::root().join("target/release/koiosd"))
}

/// The files of the package, as they come to lie below `/`.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn lay_out(&self, binary: &Path) -> Result<()> {
        let program = self.write("usr/bin/koiosd", &read(binary)?, 0o755)?;
        output(Command::new("strip").args(["--strip-unneeded", "--remove-section=.comment"]).arg(&program))?;
        let packaging = repository::root().join("packaging");
        let unit = read(&packaging.join("systemd/koiosd.service"))?;
        self.write("usr/lib/systemd/system/koiosd.service", &unit, 0o644)?;
        self.write("etc/koios/koios.toml", &read(&packaging.join("debian/koios.toml"))?, 0o644)?;
        for (shell, path) in [
            ("bash", "usr/share/bash-completion/completions/koiosd"),
            ("fish", "usr/share/fish/vendor_completions.d/koiosd.fish"),
            ("zsh", "usr/share/zsh/vendor-completions/_koiosd"),
        ] {
            let script = output(Command::new(binary).args(["completions", shell]))?;
            self.write(path, script.as_bytes(), 0o644)?;
        }
        let copyright = read(&packaging.join("debian/copyright"))?;
        self.write("usr/share/doc/koios/copyright", &copyright, 0o644)?;
        let changelog = read(&repository::root().join("CHANGELOG.md"))?;
        self.write("usr/share/doc/koios/changelog.gz", &gzip(&changelog)?, 0o644)?;
        self.manual_pages(binary)
    }

    fn manual_pages(&self, binary: &Path) -> Result<()> {
        let pages = tempfile::tempdir().context("no temporary folder")?;
        output(Command::new(binary).arg("man").arg(pages.path()))?;
        for page in fs::read_dir(pages.path()).context("no manual pages")? {
            let page = page.context("no manual page")?;
            let name = page.file_name();
            let path = format!("usr/share/man/man1/{}.gz", name.to_string_lossy());
            self.write(&path, &gzip(&read(&page.path())?)?, 0o644)?;
        }
        Ok(())
    }

    /// What dpkg wants to know.
    fn describe(&self, version: &str, architecture: &str) -> Result<()> {
        let mut sums = Vec::new();
        let mut bytes = 0;
        for path in self.files()? {
            let sum = output(Command::new("md5sum").arg(&path).current_dir(&self.root))?;
            sums.extend_from_slice(sum.as_bytes());
            bytes += fs::metadata(self.root.join(&path)).map_or(0, |metadata| metadata.len());
        }
        let needs = needed_libraries(&read(&self.root.join("usr/bin/koiosd"))?)?;
        let control = format!(
            "Package: koios\n\
             Version: {version}\n\
             Architecture: {architecture}\n\
             Maintainer: The Koios maintainers <koios@localhost>\n\
             Installed-Size: {}\n\
             Depends: adduser, {needs}\n\
             Section: net\n\
             Priority: optional\n\
             Homepage: https://github.com/koios/koios\n\
             Description: central manager of OPC UA client certificates\n \
             A daemon with a REST API that makes, keeps and renews the X.509 certificates\n \
             with which OPC UA clients prove who they are, connects to servers with them,\n \
             and says why a server refuses one.\n",
            bytes.div_ceil(1024)
        );
        self.write("DEBIAN/control", control.as_bytes(), 0o644)?;
        self.write("DEBIAN/conffiles", b"/etc/koios/koios.toml\n", 0o644)?;
        self.write("DEBIAN/md5sums", &sums, 0o644)?;
        for script in ["postinst", "prerm", "postrm"] {
            let text = read(&repository::root().join("packaging/debian").join(script))?;
            self.write(&format!("DEBIAN/{script}"), &text, 0o755)?;
        }
        Ok(())
    }

    /// Every file by its path below the root, in order.
    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).context("a folder of the package")? {
                let path = entry.context("an entry of the package")?.path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push(path.strip_prefix(&self.root).context("below the root")?.to_owned()),
                }
            }
        }
        files.sort();
        Ok(files)
    }

    fn write(&self, path: &str, contents: &[u8], mode: u32) -> Result<PathBuf> {
        let path = self.root.join(path);
        let written = (|| {
            let mut folder = self.root.clone();
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            fs::write(&path, contents)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            // Whatever the umask of whoever builds: everybody may pass.
            for part in path.strip_prefix(&self.root).iter().flat_map(|below| below.parent()).flatten() {
                folder.push(part);
                fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
            }
            fs::set_permissions(&self.root, fs::Permissions::from_mode(0o755))
        })();
        written.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// Debian's packages of the libraries that the binary is linked with: glibc by the newest symbol version that it names.
fn needed_libraries(binary: &[u8]) -> Result<String> {
    const MARK: &[u8] = b"GLIBC_2.";
    let newest = binary
        .windows(MARK.len() + 3)
        .filter(|window| window.starts_with(MARK))
        .filter_map(|window| {
            let digits = window[MARK.len()..].iter().take_while(|byte| byte.is_ascii_digit());
            digits.fold(None, |number: Option<u32>, digit| {
                Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0'))
            })
        })
        .max();
    let Some(newest) = newest else { bail!("the binary is not linked with glibc") };
    let unwinder = b"libgcc_s.so.1";
    let unwinds = binary.windows(unwinder.len()).any(|window| window == unwinder);
    Ok(format!("libc6 (>= 2.{newest}){}", if unwinds { ", libgcc-s1 (>= 4.2)" } else { "" }))
}

fn gzip(contents: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .args(["-9", "--no-name"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("gzip cannot be started")?;
    let mut input = child.stdin.take().context("gzip takes no input")?;
    let contents = contents.to_vec();
    let writing = std::thread::spawn(move || input.write_all(&contents));
    let output = child.wait_with_output().context("gzip has failed")?;
    let written = writing.join().is_ok_and(|written| written.is_ok());
    if !written || !output.status.success() {
        bail!("gzip ended with {}", output.status);
    }
    Ok(output.stdout)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// What a command prints, when it ends well.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("{name} cannot be started"))?;
    if !output.status.success() {
        bail!("{name} ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} prints what is not UTF-8"))
}
