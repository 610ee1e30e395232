//! The demo's federation, founded by the steps of the operator's guide: `init` in each region, an
//! authority a region, `cluster bootstrap` in one and `cluster join` in the others.

use std::path::Path;

use exequatur_federation::time::UnixTime;

use super::{
    certificate::{Authority, Certified},
    configuration::{FEDERATION, Member, NodeMade, federation},
    directory::{Directory, FilesError},
    files::{FEDERATION_FILE, Layout, Place},
    program::{Program, ProgramError},
};

/// A region's directory with its files, and the program that runs with them.
pub(crate) struct Seat {
    pub(crate) place: Place,
    pub(crate) layout: Layout,
    pub(crate) program: Program,
}

/// Why no federation was founded.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// A file could not be written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A command failed.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Writes `federation.toml` as it is before anything was made: no region has a key yet.
///
/// # Errors
/// [`FilesError`].
pub(crate) fn draft(above: &Directory, layouts: &[&Layout]) -> Result<(), FilesError> {
    let members: Vec<Member> = layouts.iter().map(|layout| member(layout, None)).collect();
    above.write(FEDERATION_FILE, &federation(&members))?;
    Ok(())
}

/// Makes each region's keys and node, and has them agree on the federation.
///
/// # Errors
/// See [`FoundingError`].
pub(crate) async fn found(
    above: &Directory,
    seats: &[Seat],
    now: UnixTime,
) -> Result<(), FoundingError> {
    let mut members = Vec::new();
    let authorities = above.below("tls")?;
    for Seat { place, layout, program } in seats {
        let made = program.report(&["init"]).await?.object("node")?;
        let (id, identity) = (made.text("id")?.to_owned(), made.text("identity")?.to_owned());
        let node = NodeMade { id, identity };
        let name = layout.site.name;
        let authority = Authority::new(&format!("Exequatur demo nodes of {name}"), now)
            .map_err(FilesError::from)?;
        authorities.write(&format!("{name}-ca.pem"), &authority.pem)?;
        let uri = format!("spiffe://{FEDERATION}/region/{name}/node/{}", node.id);
        let Certified { certificate, key } = authority.node(&uri, now).map_err(FilesError::from)?;
        place.directory.write("peer.pem", &certificate)?;
        place.directory.write("peer.key", &key)?;
        members.push(member(layout, Some(node)));
    }
    above.rewrite(FEDERATION_FILE, &federation(&members))?;
    let Some((founder, others)) = seats.split_first() else { return Ok(()) };
    let tickets: Vec<String> =
        seats.iter().map(|seat| text(&seat.layout.directory.join("cluster/node.ticket"))).collect();
    let mut bootstrap = vec!["cluster", "bootstrap"];
    bootstrap.extend(tickets.iter().flat_map(|ticket| ["--ticket", ticket.as_str()]));
    founder.program.run(&bootstrap).await?;
    let genesis = text(&founder.layout.directory.join("cluster/genesis"));
    for seat in others {
        seat.program.run(&["cluster", "join", "--genesis", &genesis]).await?;
    }
    Ok(())
}

fn member(layout: &Layout, node: Option<NodeMade>) -> Member {
    Member { site: layout.site, issuer: layout.issuer.clone(), peer: layout.peer, node }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
