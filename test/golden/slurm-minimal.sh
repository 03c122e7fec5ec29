#!/bin/bash
#SBATCH --no-requeue
#SBATCH --output=/home/alice/jupyter-alice-lab-3b1d0c7a9e55.log
#SBATCH --chdir=/home/alice

export LC_ALL="$HUBSPAWNER_ENV_LC_ALL"; unset HUBSPAWNER_ENV_LC_ALL
export SLURM_CPU_BIND="$HUBSPAWNER_ENV_SLURM_CPU_BIND"; unset HUBSPAWNER_ENV_SLURM_CPU_BIND

# Called at the end of this script.
server() {
  /bin/sh -c '# hubspawner tells the hub which port the server will have, and becomes the server: see the end.
hubspawner_port() (
  fail() {
    printf "hubspawner: %s\n" "$1" >&2
    exit 1
  }
  ask() { # three programs that do the same, for what this node may have
    case $interpreter in
      python3) python3 -I - "$1" <<\END_OF_PROGRAM
import http.client, json, os, re, signal, socket, sys
from urllib.parse import urlsplit

class Late(Exception):
    pass

def late(*_):
    raise Late("did not answer within 10 s")

def end(status, message):
    line = port + " " + re.sub("[\x00-\x20\x7f-\x9f]+", " ", message)[:300] + "\n"
    sys.stdout.buffer.write(line.encode("utf-8", "replace"))
    sys.exit(status)

port = sys.argv[1]
if not port:
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen(1)
        port = str(listener.getsockname()[1])

signal.signal(signal.SIGALRM, late)
signal.alarm(10)
try:
    url = urlsplit(os.environ["JUPYTERHUB_API_URL"] + "/batchspawner")
    kind = "HTTPSConnection" if url.scheme == "https" else "HTTPConnection"
    connection = getattr(http.client, kind)(url.hostname, url.port, timeout=10)
    connection.request("POST", url.path, json.dumps({"port": int(port)}), {
        "Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"],
        "Content-Type": "application/json",
        "Prefer": "another-port",
    })
    response = connection.getresponse()
    status, message = response.status, "%s %s" % (response.status, response.reason)
    if status < 200 or status > 299:
        body = response.read(4096).decode("utf-8", "replace")
        try:
            message += ": " + json.loads(body)["message"]
        except Exception:
            pass
    signal.alarm(0)
except Late as error:
    end(75, str(error))
except (OSError, http.client.HTTPException) as error:
    end(75, "cannot be reached: %s" % (str(error) or type(error).__name__))
except Exception as error:
    end(69, "cannot be called: %s: %s" % (type(error).__name__, error))
if 200 <= status <= 299:
    end(0, message)
later = status in (408, 429) or status >= 500
end(73 if status == 423 else 75 if later else 69, "answered " + message)
END_OF_PROGRAM
        ;;
      node) node - "$1" <<\END_OF_PROGRAM
var URL = require("url").URL;
var port = process.argv[2];
function end(status, message) {
  message = message.replace(/[\x00-\x20\x7f-\x9f]+/g, " ").slice(0, 300);
  process.stdout.write(port + " " + message + "\n");
  process.exit(status);
}
function finish(response, body) {
  var status = response.statusCode;
  var message = "answered " + status + " " + response.statusMessage;
  try {
    var said = JSON.parse(body).message;
    if (typeof said === "string") message += ": " + said;
  } catch (error) {}
  if (status >= 200 && status <= 299) end(0, message);
  var later = status === 408 || status === 429 || status >= 500;
  end(status === 423 ? 73 : later ? 75 : 69, message);
}
function call() {
  setTimeout(function () { end(75, "did not answer within 10 s"); }, 10000);
  try {
    var url = new URL(process.env.JUPYTERHUB_API_URL + "/batchspawner");
    var body = JSON.stringify({ port: Number(port) });
    var request = require(url.protocol.slice(0, -1)).request({
      method: "POST",
      hostname: url.hostname.replace(/[\[\]]/g, ""),
      port: url.port,
      path: url.pathname,
      agent: false,
      headers: {
        Authorization: "token " + process.env.JUPYTERHUB_API_TOKEN,
        "Content-Type": "application/json",
        "Content-Length": body.length,
        "Prefer": "another-port"
      }
    });
  } catch (error) {
    end(69, "cannot be called: " + error.message);
  }
  request.on("error", function (error) {
    end(75, "cannot be reached: " + (error.message || error.code));
  });
  request.on("response", function (response) {
    var text = "";
    response.setEncoding("utf8");
    response.on("data", function (chunk) {
      text += chunk;
      if (text.length > 4096) finish(response, text);
    });
    response.on("close", function () { finish(response, text); });
  });
  request.end(body);
}
if (port) {
  call();
} else {
  var listener = require("net").createServer();
  listener.listen(0, function () {
    port = String(listener.address().port);
    listener.close(call);
  });
}
END_OF_PROGRAM
        ;;
      perl) perl - "$1" <<\END_OF_PROGRAM
use strict;
use warnings;
my $port = shift @ARGV;
sub end_with {
  my ($status, $message) = @_;
  $message =~ s/[\x00-\x20\x7f-\x9f]+/ /g;
  binmode STDOUT, ":utf8";
  print $port, " ", substr($message, 0, 300), "\n";
  exit $status;
}
if ($port eq "") {
  require IO::Socket::INET;
  my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => "0.0.0.0", LocalPort => 0)
    or die "No free port: $@\n";
  $port = $listener->sockport;
  close $listener;
}
my $url = "$ENV{JUPYTERHUB_API_URL}/batchspawner";
eval { require HTTP::Tiny; 1 }
  or end_with(69, "cannot be called: this perl has no HTTP::Tiny; install it, python3 or node");
$url =~ /^http:/ or eval { require IO::Socket::SSL; require Net::SSLeay; 1 }
  or end_with(69, "cannot be called by https: this perl has no IO::Socket::SSL; install it, python3 or node");
$SIG{ALRM} = sub { die "no answer within 10 s\n" };
alarm 10;
my $response = HTTP::Tiny->new(max_redirect => 0, timeout => 10, verify_SSL => 1)->request("POST", $url, {
  headers => {
    "Authorization" => "token $ENV{JUPYTERHUB_API_TOKEN}",
    "Content-Type" => "application/json",
    "Prefer" => "another-port",
  },
  content => qq({"port": $port}),
});
alarm 0;
my $status = $response->{status};
end_with(75, "cannot be reached: $response->{content}") if $status == 599;
my $said = eval { require JSON::PP; JSON::PP->new->utf8->decode($response->{content})->{message} };
my $message = "answered $status $response->{reason}";
$message .= ": $said" if defined $said && !ref $said;
end_with(0, $message) if $status >= 200 && $status <= 299;
my $later = $status == 408 || $status == 429 || $status >= 500;
end_with($status == 423 ? 73 : $later ? 75 : 69, $message);
END_OF_PROGRAM
        ;;
    esac
  }
  case ${JUPYTERHUB_API_URL-} in
    http://*|https://*) JUPYTERHUB_API_URL=${JUPYTERHUB_API_URL%/} ;;
    *) fail "JUPYTERHUB_API_URL must be the http or https address of the API of the hub, but is ${JUPYTERHUB_API_URL:-not set}." ;;
  esac
  case ${JUPYTERHUB_API_TOKEN-} in
    "") fail "JUPYTERHUB_API_TOKEN is not set, so the hub would not know whose job this is." ;;
    *[![:graph:]]*) fail "JUPYTERHUB_API_TOKEN holds a blank or a line break, which no token does." ;;
  esac
  export JUPYTERHUB_API_URL JUPYTERHUB_API_TOKEN
  unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY NODE_USE_ENV_PROXY
  for interpreter in python3 node perl none; do
    if command -v "$interpreter" >/dev/null 2>&1; then break; fi
  done
  if [ "$interpreter" = none ]; then
    fail "One of python3, node and perl is needed to tell the hub which port the server has, and none is in PATH ($PATH)."
  fi
  port=
  for pause in 1 2 4 8 15 30 30 30 last; do
    status=0
    answer=$(ask "$port") || status=$?
    said=${answer#* }
    while :; do
      case $said in
        *"$JUPYTERHUB_API_TOKEN"*) said=${said%%"$JUPYTERHUB_API_TOKEN"*}${said#*"$JUPYTERHUB_API_TOKEN"} ;;
        *) break ;;
      esac
    done
    said=${said% }
    said=${said%.}
    port=${answer%% *}
    case $status:$port in
      *:|*:*[!0-9]*) fail "$interpreter ended with exit code $status before it could call the hub." ;;
      0:*) printf "%s\n" "$port"; exit 0 ;;
      73:*) port= ;;
      75:*) ;;
      69:*) fail "The hub at $JUPYTERHUB_API_URL $said." ;;
      *) fail "$interpreter ended with exit code $status while it called the hub." ;;
    esac
    if [ "$pause" = last ]; then break; fi
    printf "hubspawner: %s\n" "The hub at $JUPYTERHUB_API_URL $said. Next try in $pause s." >&2
    sleep "$pause"
  done
  fail "The hub at $JUPYTERHUB_API_URL $said. That was the last try: is the hub running, and can this node reach it?"
)

HUBSPAWNER_PORT=$(hubspawner_port) || exit 1
hubspawner_mark="{port}" # stands for the port in the arguments and URL
set -- "${JUPYTERHUB_SERVICE_URL-}" "$@"
hubspawner_left=$#
while [ "$hubspawner_left" -gt 0 ]; do
  hubspawner_tail=$1
  hubspawner_head=
  shift
  while :; do
    case $hubspawner_tail in
      *"$hubspawner_mark"*)
        hubspawner_head=$hubspawner_head${hubspawner_tail%%"$hubspawner_mark"*}$HUBSPAWNER_PORT
        hubspawner_tail=${hubspawner_tail#*"$hubspawner_mark"}
        ;;
      *) break ;;
    esac
  done
  set -- "$@" "$hubspawner_head$hubspawner_tail"
  hubspawner_left=$((hubspawner_left - 1))
done
if [ -n "${JUPYTERHUB_SERVICE_URL+set}" ]; then JUPYTERHUB_SERVICE_URL=$1; fi
shift
unset hubspawner_mark hubspawner_left hubspawner_tail hubspawner_head

exec "$@"' hubspawner jupyterhub-singleuser
}

# The shell outlives the server's SIGTERM, so that the epilogue runs.
trap : TERM
server
status=$?
exit "$status"
