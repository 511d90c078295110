//! Real servers that speak TLS, each with a certificate from the desk: Node, nginx, OpenSSL.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use plimsoll_testbed::process::Process;
use plimsoll_testbed::{node, port};
use tempfile::TempDir;

use crate::fleet::PATIENCE;
use crate::tls::Desk;

pub(crate) struct Server {
    port: u16,
    process: Process,
    directory: TempDir,
}

/// Says who asked, under which name, and on which connection. Arguments: the port, a certificate, its key, and the authority of clients.
const NODE: &str = r"
const [port, cert, key, ca] = process.argv.slice(2);
const read = require('fs').readFileSync;
const clients = ca ? { ca: read(ca), requestCert: true, rejectUnauthorized: true } : {};
let connections = 0, newest = null;
const server = require('https').createServer({ cert: read(cert), key: read(key), ...clients }, (request, response) => {
  const { socket } = request;
  socket.number ??= connections += 1;
  const said = { name: 'node', sni: socket.servername, newest, resumed: socket.isSessionReused(), connection: socket.number };
  const body = JSON.stringify(said);
  response.writeHead(200, { 'content-length': body.length }).end(body);
});
// Whom the last connection that was opened is from.
server.on('secureConnection', (socket) => { newest = socket.getPeerCertificate().subject?.CN ?? null; });
server.listen(Number(port), '127.0.0.1');
";

impl Server {
    /// `clients`: the authority whose certificates clients must show.
    pub(crate) fn node(desk: &Desk, certificate: &str, clients: Option<&str>) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), port::free());
        std::fs::write(directory.path().join("server.js"), NODE).unwrap();
        let process = start_node(desk, directory.path(), port, certificate, clients);
        Self { port, process, directory }
    }

    pub(crate) fn nginx(desk: &Desk, certificate: &str, clients: Option<&str>) -> Self {
        let (pem, key) = (desk.word(&format!("{certificate}.pem")), desk.word(&format!("{certificate}.key")));
        let verify = clients.map(|ca| format!("ssl_client_certificate {}; ssl_verify_client on;", desk.word(ca))).unwrap_or_default();
        Self::nginx_with("ssl", &format!("ssl_certificate {pem}; ssl_certificate_key {key}; {verify}"))
    }

    /// nginx that speaks no TLS.
    pub(crate) fn plain() -> Self {
        Self::nginx_with("", "")
    }

    fn nginx_with(listen: &str, keys: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), port::free());
        let spools = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| format!("{kind}_temp_path {kind};")).concat();
        let settings = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off; {spools}\nserver {{ \
             listen 127.0.0.1:{port} {listen}; {keys}\n\
             location / {{ default_type application/json; return 200 '{{\"name\":\"nginx\",\"peer\":\"$ssl_client_s_dn\"}}'; }} }} }}\n"
        );
        std::fs::write(directory.path().join("nginx.conf"), settings).unwrap();
        let mut command = Command::new("nginx");
        command.arg("-p").arg(directory.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
        let process = started("nginx", &command, directory.path(), port);
        Self { port, process, directory }
    }

    /// Answers with a page about the connection, which ends where the connection does.
    pub(crate) fn openssl(desk: &Desk, certificate: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), port::free());
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
        command.args(["-cert", &desk.word(&format!("{certificate}.pem")), "-key", &desk.word(&format!("{certificate}.key"))]);
        let process = started("openssl", &command, directory.path(), port);
        Self { port, process, directory }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Node again, with another certificate.
    pub(crate) fn start_again_with(&mut self, desk: &Desk, certificate: &str) {
        self.process.kill();
        self.process = start_node(desk, self.directory.path(), self.port, certificate, None);
    }
}

fn start_node(desk: &Desk, directory: &Path, port: u16, certificate: &str, clients: Option<&str>) -> Process {
    let mut command = Command::new(node::program().unwrap());
    command.arg("server.js").arg(port.to_string());
    command
        .arg(desk.path(&format!("{certificate}.pem")))
        .arg(desk.path(&format!("{certificate}.key")))
        .args(clients.map(|ca| desk.path(ca)));
    started("node", &command, directory, port)
}

fn started(name: &str, command: &Command, directory: &Path, port: u16) -> Process {
    let mut process = Process::start(name, command, directory).unwrap();
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok();
    process.wait_until(PATIENCE, "a connection", listens).unwrap();
    process
}
