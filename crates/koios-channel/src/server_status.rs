use time::OffsetDateTime;

/// The value of `Server_ServerStatus` (OPC 10000-5 §12.10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// What the server is doing.
    pub state: ServerState,
    /// The server's clock when it answered.
    pub current_time: OffsetDateTime,
    /// When the server was started, by its own clock.
    pub start_time: OffsetDateTime,
    /// What the server is.
    pub build_info: BuildInfo,
}

/// What a server is doing (OPC 10000-5 §12.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerState {
    /// Normal operation.
    Running,
    /// It cannot work.
    Failed,
    /// Nobody configured it yet.
    NoConfiguration,
    /// Temporarily not operating.
    Suspended,
    /// Shutting down.
    Shutdown,
    /// Under test.
    Test,
    /// It lost its source of data.
    CommunicationFault,
    /// It does not know.
    Unknown,
    /// A number OPC UA does not define.
    Other(i32),
}

/// What a server is (OPC 10000-5 §12.4), for people: without control characters, at most 1,024 characters each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildInfo {
    /// The product's name.
    pub product_name: String,
    /// The product's URI.
    pub product_uri: String,
    /// Who made it.
    pub manufacturer_name: String,
    /// The software's version.
    pub software_version: String,
    /// The number of the build.
    pub build_number: String,
}
