//! What of the protocol changed so that an older client, server or stored record would be misread.
//!
//! The rules are those of Buf's `WIRE_JSON` category: numbers, names (JSON has them), types and labels of fields stay;
//! a field or an enum value goes only where its number and name are reserved; a method keeps its types and streaming.
//! Additions are always fine.

use std::collections::BTreeMap;

use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
    ServiceDescriptorProto,
};

/// Each break in words; empty where there is none.
pub(crate) fn breaks(before: &FileDescriptorSet, after: &FileDescriptorSet) -> Vec<String> {
    let (before, after) = (Schema::of(before), Schema::of(after));
    let mut found = Vec::new();
    for (name, old) in &before.messages {
        match after.messages.get(name) {
            None => found.push(format!("message {name} is gone")),
            Some(new) => fields(name, old, new, &mut found),
        }
    }
    for (name, old) in &before.enums {
        match after.enums.get(name) {
            None => found.push(format!("enum {name} is gone")),
            Some(new) => values(name, old, new, &mut found),
        }
    }
    for (name, old) in &before.services {
        match after.services.get(name) {
            None => found.push(format!("service {name} is gone")),
            Some(new) => methods(name, old, new, &mut found),
        }
    }
    found
}

/// Everything by its full name.
#[derive(Default)]
struct Schema<'a> {
    messages: BTreeMap<String, &'a DescriptorProto>,
    enums: BTreeMap<String, &'a EnumDescriptorProto>,
    services: BTreeMap<String, &'a ServiceDescriptorProto>,
}

impl<'a> Schema<'a> {
    fn of(files: &'a FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &files.file {
            let package = file.package();
            file.message_type.iter().for_each(|message| schema.add_message(package, message));
            file.enum_type.iter().for_each(|e| schema.add_enum(package, e));
            for service in &file.service {
                schema.services.insert(format!("{package}.{}", service.name()), service);
            }
        }
        schema
    }

    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        message.nested_type.iter().for_each(|nested| self.add_message(&name, nested));
        message.enum_type.iter().for_each(|e| self.add_enum(&name, e));
        self.messages.insert(name, message);
    }

    fn add_enum(&mut self, scope: &str, e: &'a EnumDescriptorProto) {
        self.enums.insert(format!("{scope}.{}", e.name()), e);
    }
}

fn fields(message: &str, old: &DescriptorProto, new: &DescriptorProto, found: &mut Vec<String>) {
    for before in &old.field {
        let (name, number) = (before.name(), before.number());
        if let Some(after) = new.field.iter().find(|field| field.number() == number) {
            let (was, is) = (shape(old, before), shape(new, after));
            if was != is {
                found.push(format!("{message} field {number} was `{was}` and is `{is}`"));
            }
        } else {
            let numbers =
                new.reserved_range.iter().any(|range| (range.start()..range.end()).contains(&number));
            if !(numbers && new.reserved_name.iter().any(|reserved| reserved == name)) {
                found.push(format!("{message} field {number} `{name}` is gone and not reserved"));
            }
        }
    }
}

/// All of a field that a reader depends on.
fn shape(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let oneof = field.oneof_index.filter(|_| !field.proto3_optional());
    let oneof = oneof.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    let kind = field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
    let label = match field.label() {
        Label::Repeated => "repeated",
        Label::Required => "required",
        Label::Optional if field.proto3_optional() => "optional",
        Label::Optional => "singular",
    };
    let group = oneof.map(|oneof| format!(" in oneof {}", oneof.name())).unwrap_or_default();
    format!("{label} {kind} {} {}{group}", field.type_name(), field.name())
}

fn values(name: &str, old: &EnumDescriptorProto, new: &EnumDescriptorProto, found: &mut Vec<String>) {
    for before in &old.value {
        let number = before.number();
        match new.value.iter().find(|value| value.number() == number) {
            Some(after) if after.name() == before.name() => {}
            Some(after) => {
                found.push(format!("{name} {number} was {} and is {}", before.name(), after.name()));
            }
            None => {
                // Unlike a message's, an enum's reserved ranges include their end.
                let numbers =
                    new.reserved_range.iter().any(|range| (range.start()..=range.end()).contains(&number));
                if !(numbers && new.reserved_name.iter().any(|reserved| reserved == before.name())) {
                    found.push(format!("{name} {number} {} is gone and not reserved", before.name()));
                }
            }
        }
    }
}

fn methods(
    service: &str,
    old: &ServiceDescriptorProto,
    new: &ServiceDescriptorProto,
    found: &mut Vec<String>,
) {
    for before in &old.method {
        let name = before.name();
        match new.method.iter().find(|method| method.name() == name) {
            None => found.push(format!("{service}/{name} is gone")),
            Some(after) if signature(before) != signature(after) => {
                found.push(format!("{service}/{name} was {} and is {}", signature(before), signature(after)));
            }
            Some(_) => {}
        }
    }
}

fn signature(method: &MethodDescriptorProto) -> String {
    let stream = |streaming: bool| if streaming { "stream " } else { "" };
    format!(
        "({}{}) -> {}{}",
        stream(method.client_streaming()),
        method.input_type(),
        stream(method.server_streaming()),
        method.output_type()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "
        message User { fixed64 id = 1; string name = 2; oneof place { string home = 3; string away = 4; } }
        enum Role { MEMBER = 0; OWNER = 1; }
        service Users { rpc Get(User) returns (stream User); }";

    fn schema(text: &str) -> FileDescriptorSet {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.proto"), format!("syntax = \"proto3\"; package t; {text}"))
            .unwrap();
        protox::compile(["t.proto"], [folder.path()]).unwrap()
    }

    fn breaks_of(from: &str, to: &str) -> Vec<String> {
        assert!(BEFORE.contains(from));
        breaks(&schema(BEFORE), &schema(&BEFORE.replace(from, to)))
    }

    #[test]
    fn additions_break_nothing() {
        let found = breaks_of("string name = 2;", "string name = 2; message New {} repeated New more = 9;");
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(breaks_of("OWNER = 1;", "OWNER = 1; ADMIN = 2;"), Vec::<String>::new());
        assert_eq!(
            breaks_of("service", "service More { rpc New(User) returns (User); } service"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_field_that_is_gone_breaks_unless_number_and_name_are_reserved() {
        assert_eq!(breaks_of("string name = 2;", ""), ["t.User field 2 `name` is gone and not reserved"]);
        assert_eq!(breaks_of("string name = 2;", "reserved 2;").len(), 1);
        assert_eq!(breaks_of("string name = 2;", "reserved 2; reserved \"name\";"), Vec::<String>::new());
    }

    #[test]
    fn a_changed_field_breaks() {
        for to in [
            "string name = 5;",
            "bytes name = 2;",
            "repeated string name = 2;",
            "optional string name = 2;",
            "string title = 2;",
        ] {
            assert_eq!(breaks_of("string name = 2;", to).len(), 1, "{to}");
        }
        let moved_out = breaks_of("oneof place { string home = 3;", "string home = 3; oneof place {");
        assert_eq!(moved_out.len(), 1, "{moved_out:?}");
    }

    #[test]
    fn a_changed_enum_or_method_breaks() {
        assert_eq!(breaks_of("OWNER = 1;", "").len(), 1);
        assert_eq!(breaks_of("OWNER = 1;", "reserved 1; reserved \"OWNER\";"), Vec::<String>::new());
        assert_eq!(breaks_of("OWNER = 1;", "BOSS = 1;").len(), 1);
        assert_eq!(breaks_of("returns (stream User)", "returns (User)").len(), 1);
        assert_eq!(breaks_of("rpc Get", "rpc Fetch").len(), 1);
        assert_eq!(breaks_of("service Users { rpc Get(User) returns (stream User); }", "").len(), 1);
    }
}
