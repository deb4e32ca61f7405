use crate::NodeId;

/// What a node refers to (OPC 10000-4 §7.29). Everything here is the server's word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// The kind of reference.
    pub reference_type: NodeId,
    /// The node it leads to.
    pub node_id: NodeId,
    /// The namespace of its browse name, as an index at this server.
    pub namespace: u16,
    /// Its browse name.
    pub name: String,
    /// Its name for people: without control characters, at most 1,024 characters.
    pub display_name: String,
    /// What it is.
    pub node_class: NodeClass,
    /// Its type; the null id (`i=0`) where it has none.
    pub type_definition: NodeId,
}

/// What a node is (OPC 10000-3 §8.29).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeClass {
    /// An object.
    Object,
    /// A variable.
    Variable,
    /// A method.
    Method,
    /// A type of objects.
    ObjectType,
    /// A type of variables.
    VariableType,
    /// A type of references.
    ReferenceType,
    /// A type of values.
    DataType,
    /// A view.
    View,
    /// A number OPC UA does not define.
    Unknown(i32),
}
