//! Keyspaces and collections: the commands above documents.

use super::{Command, Context};
use crate::answer::Answer;
use crate::error::{ApiError, Code, Result, refuse};
use crate::fields::Fields;
use crate::json::{Object, Value, object};

pub(super) fn general(context: &Context<'_>, command: &Command) -> Result<Answer> {
    let deprecated = command.name.contains("Namespace");
    let answer: Result<Answer> = match command.name.as_str() {
        "createKeyspace" | "createNamespace" => create_keyspace(context, command),
        "dropKeyspace" | "dropNamespace" => {
            let fields = command.fields(&["name", "options"])?;
            command.no_options(&fields)?;
            context.database.drop_keyspace(name(&fields)?)?;
            Ok(Answer::ok())
        }
        "findKeyspaces" | "findNamespaces" => {
            command.no_options(&command.fields(&["options"])?)?;
            let names: Vec<Value> =
                context.database.keyspaces().into_iter().map(Value::String).collect();
            let member = if deprecated { "namespaces" } else { "keyspaces" };
            Ok(Answer::status(object! { member => names }))
        }
        // Nothing is computed here, so there is nobody to compute it.
        list => {
            command.fields(&["options"])?;
            let embedding = list == "findEmbeddingProviders";
            let member = if embedding { "embeddingProviders" } else { "rerankingProviders" };
            Ok(Answer::status(object! { member => Object::new() }))
        }
    };
    let answer = answer?;
    if deprecated {
        let instead = command.name.replace("Namespace", "Keyspace");
        return Ok(answer.warn(format!("`{}` is deprecated; use `{instead}`", command.name)));
    }
    Ok(answer)
}

fn create_keyspace(context: &Context<'_>, command: &Command) -> Result<Answer> {
    let fields = command.fields(&["name", "options"])?;
    let options = Fields::of(fields.get("options"), "createKeyspace.options", &["replication"])?;
    if let Some(replication) = options.get("replication") {
        check_replication(replication)?;
    }
    context.database.create_keyspace(&new_name(&fields)?)?;
    Ok(Answer::ok())
}

pub(super) fn in_keyspace(
    context: &Context<'_>,
    keyspace: &str,
    command: &Command,
) -> Result<Answer> {
    match command.name.as_str() {
        "createCollection" => {
            let fields = command.fields(&["name", "options"])?;
            let Context { database, rules, .. } = context;
            database.create_collection(
                keyspace,
                &new_name(&fields)?,
                fields.get("options"),
                &rules.features,
                &rules.limits,
            )?;
            Ok(Answer::ok())
        }
        "deleteCollection" => {
            let fields = command.fields(&["name", "options"])?;
            command.no_options(&fields)?;
            context.database.delete_collection(keyspace, name(&fields)?)?;
            Ok(Answer::ok())
        }
        "findCollections" => {
            let fields = command.fields(&["options"])?;
            let place = "findCollections.options";
            let explain =
                Fields::of(fields.get("options"), place, &["explain"])?.flag("explain")?;
            let collections = context.database.collections(keyspace)?;
            let listed: Vec<Value> = collections
                .iter()
                .map(|collection| {
                    let settings = &collection.settings;
                    let name = Value::from(settings.name.as_str());
                    if !explain {
                        return name;
                    }
                    Value::from(object! { "name" => name, "options" => settings.options() })
                })
                .collect();
            Ok(Answer::status(object! { "collections" => listed }))
        }
        // There are no tables and no types; programs list them all the same.
        list => {
            let fields = command.fields(&["options"])?;
            let place = format!("{list}.options");
            Fields::of(fields.get("options"), &place, &["explain"])?.flag("explain")?;
            context.database.collections(keyspace)?;
            let member = if list == "listTables" { "tables" } else { "types" };
            let mut status = Object::new();
            status.set(member, Value::Array(Vec::new()));
            Ok(Answer::status(status))
        }
    }
}

/// The name of what is to be made: the server reads a number as its text.
fn new_name(fields: &Fields<'_>) -> Result<String> {
    match fields.get("name") {
        None => refuse(Code::SchemaName, "`name` must not be missing"),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(_) => name(fields).map(str::to_owned),
    }
}

fn name<'a>(fields: &Fields<'a>) -> Result<&'a str> {
    fields.required("name")?;
    fields
        .string("name")?
        .ok_or_else(|| ApiError::new(Code::FieldValue, "`name` must not be missing"))
}

/// One copy or many, this server keeps one; the shape is checked all the same.
fn check_replication(replication: &Value) -> Result<()> {
    let place = "createKeyspace.options.replication";
    let Value::Object(members) = replication else {
        return refuse(Code::Structure, format!("`{place}` must be an object"));
    };
    match members.get("class").and_then(Value::as_str) {
        Some("SimpleStrategy" | "NetworkTopologyStrategy") => {}
        _ => {
            return refuse(
                Code::FieldValue,
                format!("`{place}.class` must be `SimpleStrategy` or `NetworkTopologyStrategy`"),
            );
        }
    }
    for (name, value) in members.iter().filter(|(name, _)| *name != "class") {
        if value.as_integer().is_none_or(|copies| copies < 1) {
            return refuse(
                Code::FieldValue,
                format!("`{place}.{name}` must be a positive integer"),
            );
        }
    }
    Ok(())
}
