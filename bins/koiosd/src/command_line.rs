//! The command line of `koiosd`. Its flags are the strongest source of settings; the rest is in `config`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::LogFormat;

/// Central manager of OPC UA client certificates.
#[derive(Clone, Debug, Parser)]
#[command(name = "koiosd", version, args_conflicts_with_subcommands = false)]
pub struct Arguments {
    /// What to do; without a command the daemon is started.
    #[command(subcommand)]
    pub action: Option<Action>,
    /// Read settings from this TOML file.
    #[arg(long, value_name = "FILE", env = "KOIOS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// The folder that holds everything Koios keeps.
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// Where to listen for HTTP; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", global = true)]
    pub listen: Option<String>,
    /// How log lines are written to standard error.
    #[arg(long, value_name = "FORMAT", value_enum, global = true)]
    pub log_format: Option<LogFormat>,
    /// Serve the example console, a page for the browser, at /console/.
    #[arg(long, global = true)]
    pub console: bool,
}

/// The commands of the daemon's binary.
#[derive(Clone, Debug, Default, Subcommand)]
pub enum Action {
    /// Connect to a server once, say at which stage it fails and why, and end with an exit code that tells: 0 connected,
    /// 10 certificate rejected by the server, 11 the server's certificate, 12 not reachable, 13 user, 1 anything else.
    Test(TestArguments),
    /// Read the audit trail, also beside a running daemon.
    #[command(subcommand)]
    Audit(AuditAction),
    /// Write everything that Koios keeps into one file, also beside a running daemon. The file holds private keys.
    Backup(BackupArguments),
    /// Examine the data directory, also beside a running daemon, and say what is wrong and how to mend it; the exit code is
    /// 0 when it is content, and 3 when somebody should do something.
    Check(CheckArguments),
    /// Print what a shell needs to complete this command line.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Say what the settings are, here and now, and what is wrong with them.
    #[command(subcommand)]
    Config(ConfigAction),
    /// Write the private keys in plain form again, after `encryption_at_rest` was turned off; with the daemon stopped.
    DecryptKeys,
    /// Ask the daemon that these settings start whether it is ready; the exit code is 0 when it is, and 1 when not.
    Healthcheck,
    /// Write the manual pages of this command line into a folder.
    Man {
        /// The folder; it is made when it is not there.
        folder: PathBuf,
    },
    /// Make a master key, or put another one in the place of the present one.
    #[command(subcommand)]
    MasterKey(MasterKeyAction),
    /// Take over certificates with their keys from the folders or key stores of another OPC UA product. Key, certificate and
    /// application URI stay as they are, so that servers need no change. No daemon may be using the data directory.
    ///
    /// Folders are read with everything below them: DER and PEM files, PFX and other PKCS#12 key stores, whatever their names.
    /// A key belongs to the certificate with its public key. Each certificate is stored in a commit of its own; one that is
    /// there already is left as it is, so that the command may be repeated. The exit code is 0 when every private key that
    /// was found is in Koios, and 1 when not; the output says for every file what became of it.
    Import(ImportArguments),
    /// Print the OpenAPI document of the REST API.
    Openapi,
    /// Put a backup in the place of the data directory, which no daemon may be using. What was there stays in a folder of
    /// it. The backup is verified whole before anything changes.
    Restore(RestoreArguments),
    /// Start the daemon (the default).
    #[default]
    Serve,
    /// Create, list and revoke access tokens, also beside a running daemon, which knows of it with the next request: the way
    /// back for whoever has lost the last admin token and may write to the data directory.
    #[command(subcommand)]
    Token(TokenAction),
}

/// What to do about access tokens.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenAction {
    /// Print a new token, and nothing else, on standard output. It is not shown again.
    Create(TokenCreateArguments),
    /// List the tokens, those that have expired included.
    List {
        /// Print them as JSON, as the REST API answers them, and nothing else.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token; the next request with it is refused.
    Revoke {
        /// Its id, as `koiosd token list` shows it.
        #[arg(value_name = "ID")]
        id: String,
        /// Also when it is the last admin token that has not expired.
        #[arg(long)]
        force: bool,
    },
}

/// What token to make.
#[derive(Args, Clone, Debug)]
pub struct TokenCreateArguments {
    /// What people call it, also in the audit trail.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it may do; each role may do what the ones before it may.
    #[arg(long, value_enum)]
    pub(crate) role: TokenRole,
    /// What it may do beyond its role. May be repeated.
    #[arg(long = "permission", value_name = "PERMISSION", value_enum)]
    pub(crate) permissions: Vec<TokenPermission>,
    /// When it stops working, in days from now [default: never].
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=36_500), conflicts_with = "expires_at")]
    pub(crate) expires_in_days: Option<u16>,
    /// When it stops working, such as 2027-11-28T10:00:00Z [default: never].
    #[arg(long, value_name = "INSTANT")]
    pub(crate) expires_at: Option<String>,
    /// Print all about it as JSON, as the REST API answers it, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenRole {
    /// Read.
    Viewer,
    /// Change certificates and devices, test.
    Operator,
    /// Decide about access and trust.
    Admin,
}

/// A permission on the command line, by its name in the REST API.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TokenPermission {
    /// Take private keys out.
    #[value(name = "download_private_key")]
    DownloadPrivateKey,
}

/// What to do with the settings. They are those with which the daemon would start, were it started in place of the command:
/// with these flags, this environment and this file.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigAction {
    /// Say everything that is wrong with the settings, and where; the exit code is 0 when they can be used, and 2 when not.
    Check,
    /// Print the settings as TOML, each with where it comes from. No secret is shown.
    Show,
    /// Print a table of all settings there are, in Markdown.
    Reference,
}

/// What to do with the audit trail.
#[derive(Clone, Debug, Subcommand)]
pub enum AuditAction {
    /// Say whether the trail is as it was written; the exit code is 0 when it is, and 3 when not.
    ///
    /// It finds every change, removal and reordering of entries by anyone without the master key. It cannot find that the
    /// newest entries were cut off, unless a head from the log is given; nor what somebody with the master key rewrote.
    Verify {
        /// A head from the log of the daemon, `sequence:hash`: it must be in the trail. May be repeated.
        #[arg(long, value_name = "SEQUENCE:HASH")]
        head: Vec<String>,
    },
    /// Print the trail as JSON lines, the oldest entry first, as the REST API answers them.
    Export,
}

/// What to do about the master key, under which every other secret is sealed.
#[derive(Clone, Debug, Subcommand)]
pub enum MasterKeyAction {
    /// Write a new random key into a new file of mode 0600, to be named by `master_key_file`.
    Generate {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Seal everything under another key, in one step, with the daemon stopped. No file of a private key is written.
    Rotate(RotateArguments),
}

/// Which key takes the place of the present one.
#[derive(Args, Clone, Debug)]
pub struct RotateArguments {
    /// The key in this file, which is kept outside of the data directory.
    #[arg(long, value_name = "FILE", conflicts_with = "to_data_directory")]
    pub(crate) to: Option<PathBuf>,
    /// A new random key in the data directory (secrets.key) [default, when the present one is there].
    #[arg(long)]
    pub(crate) to_data_directory: bool,
}

/// Where a backup goes.
#[derive(Args, Clone, Debug)]
pub struct BackupArguments {
    /// The file to write; its folder must be there.
    pub(crate) file: PathBuf,
    /// Encrypt it under the first line of this file. Keep the passphrase elsewhere than the backup: without it, the backup
    /// is lost.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Replace the file when it exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which backup is restored.
#[derive(Args, Clone, Debug)]
pub struct RestoreArguments {
    /// The backup.
    pub(crate) file: PathBuf,
    /// The first line of this file opens the backup.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Verify the backup and say what restoring it would change, and change nothing; also beside a running daemon.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What is imported, and how.
#[derive(Args, Clone, Debug)]
pub struct ImportArguments {
    /// Folders and files: the PKI folder of an application, a key store, a certificate and its key.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) sources: Vec<PathBuf>,
    /// The first line of this file opens protected keys and key stores. May be repeated: each is tried.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Vec<PathBuf>,
    /// What the certificate is called, if it is one; else its common name.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Trust the servers that the other product trusts: add what lies in its trusted and issuer folders, revocation lists
    /// included, to the trust lists.
    #[arg(long)]
    pub(crate) trust: bool,
    /// Say what would be imported, and change nothing; also beside a running daemon.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the report as JSON, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to examine the data directory.
#[derive(Args, Clone, Debug)]
pub struct CheckArguments {
    /// Make the mends that cannot lose anything, with the daemon stopped: take rights away from others than the owner, move
    /// key pairs that no row names to the folder "orphaned", take back changes of the trust lists that did not come to
    /// their end, remove files that were needed for a moment only.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print what is found as JSON, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to connect to, and as whom.
#[derive(Args, Clone, Debug)]
pub struct TestArguments {
    /// The endpoint, such as `opc.tcp://press4:4840`.
    pub(crate) endpoint: String,
    /// The client certificate: PEM, DER, or PKCS#12 with its key.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key, where the certificate's file does not hold it.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) private_key: Option<PathBuf>,
    /// A file whose first line opens the private key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How messages are protected [default: sign-and-encrypt with a certificate, else none].
    #[arg(long, value_enum)]
    pub(crate) mode: Option<TestMode>,
    /// The security policy, by the name in its URI.
    #[arg(long, value_name = "POLICY", default_value = "auto")]
    pub(crate) policy: String,
    /// The user who logs in.
    #[arg(long, value_name = "NAME", requires = "password_file")]
    pub(crate) user: Option<String>,
    /// A file whose first line is the user's password.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
    /// The certificate that the server must have [default: any].
    #[arg(long, value_name = "FILE")]
    pub(crate) server_certificate: Option<PathBuf>,
    /// How long the attempt may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) timeout: u16,
    /// Print the report as JSON, as the REST API answers it, and nothing else.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A security mode on the command line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum TestMode {
    None,
    Sign,
    SignAndEncrypt,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn flags_may_stand_before_and_after_the_command() {
        let before = Arguments::parse_from(["koiosd", "--listen", "127.0.0.1:0", "serve"]);
        let after = Arguments::parse_from(["koiosd", "serve", "--listen", "127.0.0.1:0"]);
        assert_eq!(before.listen, after.listen);
        assert_eq!(before.listen.as_deref(), Some("127.0.0.1:0"));
    }
}
