//! `mcp`: the library as tools for a language model, over stdin and stdout.

mod patterns;
mod playlists;
mod queues;
mod shape;
mod synths;
mod tools;

use anyhow::Result;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
};
use songrec_library::{Error, ErrorKind, until_interrupted};

use self::tools::Tools;
use crate::{args::McpArgs, context::Context, hints, status::ExitStatus};

/// What a model is told of the tools as a whole.
const ABOUT: &str = "A library of music and samples on this machine, searched by how they sound. \
                     Songs are named by their ids, which `search` and `similar` give.";

pub(super) async fn run(context: &Context, args: McpArgs) -> Result<ExitStatus> {
    let library = match args.allow_writes {
        true => context.library_to_change().await?,
        false => context.library_to_read().await?,
    };
    context.printer.say(format!(
        "serving `{}` as tools over stdin and stdout{}",
        library.place(),
        if args.allow_writes { ", also to change it" } else { "" }
    ));
    let tools = Tools { library, job: context.job.clone(), may_write: args.allow_writes };
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Failed, "the tools could not be served").because(error.to_string())
    };
    let running = tokio::select! {
        running = Served(tools).serve(rmcp::transport::stdio()) => running,
        () = until_interrupted(&context.job.interrupt) => return Ok(ExitStatus::Interrupted),
    };
    let running = match running {
        Ok(running) => running,
        // A client that ends before it said anything has asked for nothing.
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => {
            return Ok(ExitStatus::Done);
        }
        Err(error) => return Err(failed(&error).into()),
    };
    tokio::select! {
        ended = running.waiting() => ended.map_err(|error| failed(&error)).map(drop)?,
        () = until_interrupted(&context.job.interrupt) => {}
    }
    Ok(ExitStatus::Done)
}

/// The tools, as the protocol asks for them.
struct Served(Tools);

impl ServerHandler for Served {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("songrec", env!("CARGO_PKG_VERSION")))
            .with_instructions(ABOUT)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.0.all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default().into();
        // What goes wrong is told to the model, which may do something about it.
        let result = match self.0.call(&request.name, arguments).await {
            Ok(document) => CallToolResult::structured(document),
            Err(error) => CallToolResult::error(vec![ContentBlock::text(told(&error))]),
        };
        Ok(result.into())
    }
}

fn told(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{}; {}", error.in_one_line(), hints::in_words(hint)),
        None => error.in_one_line(),
    }
}
