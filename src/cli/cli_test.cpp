// The command from its arguments to its exit status, against a daemon that is scripted or a real
// control server in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "cli/fake_environment.hpp"
#include "cli/verb.hpp"
#include "control/fake_view.hpp"
#include "control/fields.hpp"
#include "control/status_codec.hpp"
#include "crypto/pki_testing.hpp"

namespace espalier::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using wire::vici::Packet;
using wire::vici::PacketType;
using wire::vici::Section;

// A connection to a control::Server without a socket. When the server has nothing to say, the
// script goes on by one step; a server that stays silent then has gone.
class ServerConnection : public Connection {
 public:
  using Step = std::function<void(control::Server&)>;
  ServerConnection(control::View& view, std::vector<Step> script, Packet* last_request)
      : server_(view, {"0.1.0", "Linux", "6.1", "x86_64", "", {}}),
        script_(std::move(script)),
        last_request_(last_request) {
    EXPECT_TRUE(server_.connect(control::ClientId(1)).ok());
  }

  Result<Section> request(std::string_view command, const Section& arguments,
                          const OnEvent& on_event, Duration) override {
    const Packet packet{PacketType::kCmdRequest, std::string(command), arguments};
    if (last_request_ != nullptr) *last_request_ = packet;
    send(packet);
    TRY_ASSIGN(Packet answer, receive(on_event));
    return std::move(answer.message);
  }
  Status subscribe(std::string_view event) override {
    send({PacketType::kEventRegister, std::string(event), {}});
    TRY_ASSIGN(const Packet answer, receive({}));
    EXPECT_EQ(answer.type, PacketType::kEventConfirm);
    return {};
  }
  Status follow(const OnEvent& on_event) override {
    auto answer = receive(on_event);
    return answer ? Status() : answer.error();
  }

 private:
  void send(const Packet& packet) {
    const auto frame = wire::vici::encode_frame(packet);
    ASSERT_TRUE(frame.ok());
    server_.receive(Instant{}, control::ClientId(1), *frame);
  }
  Result<Packet> receive(const OnEvent& on_event) {
    while (true) {
      TRY_ASSIGN(auto frame, framer_.next());
      if (frame) {
        TRY_ASSIGN(Packet packet, wire::vici::parse_packet(*frame));
        if (packet.type != PacketType::kEvent) return packet;
        if (on_event) on_event(packet.name, packet.message);
      } else if (auto output = server_.poll_output()) {
        framer_.push(output->bytes);
      } else if (next_step_ < script_.size()) {
        script_[next_step_++](server_);
      } else {
        return make_error(ErrorCode::kSystem, "The daemon went away.");
      }
    }
  }

  control::Server server_;
  std::vector<Step> script_;
  std::size_t next_step_ = 0;
  Packet* last_request_;
  wire::vici::Framer framer_;
};

class CliTest : public ::testing::Test {
 protected:
  using Step = ServerConnection::Step;

  void with_server(std::vector<Step> script = {}) {
    env.connector = [this, script](const std::string&) -> Result<std::unique_ptr<Connection>> {
      return std::unique_ptr<Connection>(
          std::make_unique<ServerConnection>(view, script, &last_request));
    };
  }
  int run(std::vector<std::string> arguments) { return cli::run(env, arguments); }

  static Step log(std::string text, std::string pair = "bender-amy") {
    return [=](control::Server& server) { server.on_log({LogLevel::kInfo, "ike", pair, text}, 5); };
  }
  static Step event(control::PairEvent::Kind kind, std::string pair, std::string text = "") {
    return [=](control::Server& server) { server.on_pair_event({kind, pair, text}); };
  }

  control::FakeView view;
  FakeEnvironment env;
  Packet last_request;
};

using Kind = control::PairEvent::Kind;

TEST_F(CliTest, wrong_usage_is_64_and_says_what) {
  const auto message = [this](std::vector<std::string> arguments) {
    env.err_text.clear();
    EXPECT_EQ(run(std::move(arguments)), kWrongUsage);
    EXPECT_EQ(env.out_text, "");
    return env.err_text;
  };
  EXPECT_THAT(message({}), StartsWith("Usage: espalier"));
  EXPECT_THAT(message({"statsu"}), HasSubstr("no verb 'statsu'; did you mean 'status'?"));
  EXPECT_THAT(message({"frobnicate"}), HasSubstr("There is no verb 'frobnicate'."));
  EXPECT_THAT(message({"secret"}), HasSubstr("needs a second word: secret new, secret pair"));
  EXPECT_THAT(message({"secret", "old"}), HasSubstr("needs a second word"));
  EXPECT_THAT(message({"status", "--jsno"}), HasSubstr("did you mean --json?"));
  EXPECT_THAT(message({"status", "a", "b"}), HasSubstr("The usage is: espalier status [NAME]."));
  EXPECT_THAT(message({"up"}), HasSubstr("The usage is: espalier up NAME."));
  EXPECT_THAT(message({"up", "flexo", "--timeout", "soon"}), HasSubstr("'soon' is no time"));
  EXPECT_THAT(message({"--rnu", "/x", "status"}), HasSubstr("did you mean --run?"));
  EXPECT_THAT(message({"--run"}), HasSubstr("--run needs a value"));
  EXPECT_THAT(message({"help", "frobnicate"}), HasSubstr("no verb"));
  EXPECT_THAT(message({"help", "--completion", "fish"}), HasSubstr("bash only"));
  EXPECT_TRUE(env.connected_to.empty());
}

TEST_F(CliTest, help_and_version) {
  EXPECT_EQ(run({"--version"}), kDone);
  EXPECT_EQ(env.out_text, "espalier 0.1.0\n");
  env.out_text.clear();
  EXPECT_EQ(run({"help"}), kDone);
  for (const Verb& verb : verb_table()) {
    EXPECT_THAT(env.out_text, HasSubstr(std::string(verb.name)));
    EXPECT_FALSE(verb.help.empty());
  }
  env.out_text.clear();
  EXPECT_EQ(run({"rekey", "--help"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("--ike"));
  env.out_text.clear();
  EXPECT_EQ(run({"help", "secret"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("espalier secret new"));
  EXPECT_THAT(env.out_text, HasSubstr("espalier secret pair PEER"));
  env.out_text.clear();
  EXPECT_EQ(run({"secret", "--help"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("espalier secret pair PEER"));
  env.out_text.clear();
  EXPECT_EQ(run({"help", "--completion", "bash"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("rekey) words=\"--ike --timeout\""));
  EXPECT_EQ(env.err_text, "");
}

// After a change of the tables: ESPALIER_REGENERATE=1 cli_test
TEST_F(CliTest, committed_man_page_is_fresh) {
  EXPECT_EQ(run({"help", "--man"}), kDone);
  const std::string path = ESPALIER_SOURCE "/docs/man/espalier.1";
  if (std::getenv("ESPALIER_REGENERATE") != nullptr) std::ofstream(path) << env.out_text;
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), env.out_text);
  env.out_text.clear();
  EXPECT_EQ(run({"help", "--man", "espalierd"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr(".TH ESPALIERD 8"));
  EXPECT_EQ(run({"help", "--man", "charon"}), kWrongUsage);
}

TEST_F(CliTest, without_a_daemon_it_is_69_with_the_way_out) {
  for (const char* verb : {"status", "reload", "log"}) {
    env.err_text.clear();
    EXPECT_EQ(run({"--run", "/run/x", verb}), kNoDaemon);
    EXPECT_THAT(env.err_text, HasSubstr("No daemon answers at /run/x/vici.sock"));
    EXPECT_THAT(env.err_text, HasSubstr("systemctl start espalierd"));
    EXPECT_THAT(env.err_text, HasSubstr("--run"));
  }
  EXPECT_EQ(run({"up", "flexo"}), kNoDaemon);
  EXPECT_EQ(env.connected_to.back(), "/run/espalier/vici.sock");
  EXPECT_EQ(run({"status", "--run", "/run/y"}), kNoDaemon);
  EXPECT_EQ(env.connected_to.back(), "/run/y/vici.sock");
  env.err_text.clear();
  env.connector = [](const std::string&) -> Result<std::unique_ptr<Connection>> {
    return make_error(ErrorCode::kPermission, "permission denied.");
  };
  EXPECT_EQ(run({"status"}), kNoDaemon);
  EXPECT_THAT(env.err_text, HasSubstr("No permission"));
  EXPECT_THAT(env.err_text, HasSubstr("as root"));
}

TEST_F(CliTest, a_daemon_that_goes_away_is_69) {
  with_server();
  EXPECT_EQ(run({"up", "amy"}), kNoDaemon);
  EXPECT_THAT(env.err_text, HasSubstr("went away"));
}

TEST_F(CliTest, status_of_all_and_of_one) {
  with_server();
  EXPECT_EQ(run({"status"}), kDone);  // the daemon answered; nobody asked for amy by name
  EXPECT_THAT(env.out_text, HasSubstr("1 of 2 pairs up\n"));
  EXPECT_THAT(env.out_text, ::testing::Not(HasSubstr("\x1b")));
  env.out_text.clear();
  EXPECT_EQ(run({"status", "flexo"}), kDone);
  EXPECT_THAT(env.out_text, StartsWith("bender-flexo\n"));
  env.out_text.clear();
  EXPECT_EQ(run({"status", "bender-amy"}), kFailed);
  EXPECT_THAT(env.out_text, HasSubstr("did not answer"));
  EXPECT_EQ(run({"status", "zoidberg"}), kFailed);
  EXPECT_THAT(env.err_text, HasSubstr("no pair 'zoidberg'; the peers are: amy, flexo."));
}

TEST_F(CliTest, status_as_json) {
  with_server();
  EXPECT_EQ(run({"status", "--json"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("\"name\": \"bender-amy\""));
  EXPECT_THAT(env.out_text, HasSubstr("\"bytes_in\": 1258291"));
  env.out_text.clear();
  EXPECT_EQ(run({"status", "amy", "--json"}), kFailed);
  EXPECT_THAT(env.out_text, HasSubstr("\"ike\": null"));
  EXPECT_THAT(env.out_text, ::testing::Not(HasSubstr("bender-flexo")));
}

TEST_F(CliTest, colours_only_when_the_terminal_wants_them) {
  with_server();
  env.colored = true;
  EXPECT_EQ(run({"status"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("\x1b[32mup\x1b[0m"));
}

TEST_F(CliTest, up_shows_the_log_and_the_outcome) {
  with_server({log("sent IKE_SA_INIT"), log("of flexo", "bender-flexo"), log("esc\x1b[2J"),
               event(Kind::kUp, "bender-amy")});
  EXPECT_EQ(run({"up", "amy", "--timeout", "10s"}), kDone);
  EXPECT_EQ(env.out_text, "[ike] sent IKE_SA_INIT\n[ike] esc?[2J\namy is up.\n");
  EXPECT_THAT(view.calls, ElementsAre("initiate bender-amy"));
  EXPECT_EQ(control::get(last_request.message, "timeout"), "10000");
}

TEST_F(CliTest, up_fails_with_the_reason) {
  with_server({event(Kind::kAttemptFailed, "bender-amy", "The key does not match.")});
  EXPECT_EQ(run({"up", "amy"}), kFailed);
  EXPECT_EQ(env.err_text, "espalier: The key does not match.\n");
  env.err_text.clear();
  EXPECT_EQ(run({"up", "zoidberg"}), kFailed);
  EXPECT_THAT(env.err_text, HasSubstr("There is no pair 'zoidberg'"));
}

TEST_F(CliTest, down_and_rekey) {
  with_server({event(Kind::kDown, "bender-flexo")});
  EXPECT_EQ(run({"down", "flexo"}), kDone);
  with_server({event(Kind::kChildRekeyed, "bender-flexo")});
  EXPECT_EQ(run({"rekey", "flexo"}), kDone);
  with_server({event(Kind::kIkeRekeyed, "bender-flexo")});
  EXPECT_EQ(run({"rekey", "--ike", "bender-flexo"}), kDone);
  with_server({event(Kind::kRekeyFailed, "bender-flexo", "No answer.")});
  EXPECT_EQ(run({"rekey", "flexo"}), kFailed);
  EXPECT_THAT(view.calls, ElementsAre("terminate bender-flexo", "rekey bender-flexo children",
                                      "rekey bender-flexo ike", "rekey bender-flexo children"));
}

TEST_F(CliTest, log_follows_until_the_daemon_goes) {
  with_server({log("first"), log("of flexo", "bender-flexo"), log("second")});
  EXPECT_EQ(run({"log", "amy", "--follow"}), kNoDaemon);
  EXPECT_EQ(env.out_text,
            "t5 info    ike       bender-amy: first\nt5 info    ike       bender-amy: second\n");
  env.out_text.clear();
  with_server({log("first")});
  EXPECT_EQ(run({"log"}), kDone);  // the past only, and there was none
  EXPECT_EQ(env.out_text, "");
  EXPECT_EQ(run({"log", "zoidberg"}), kFailed);
  EXPECT_EQ(run({"log", "-f", "--json"}), kNoDaemon);
  EXPECT_THAT(env.out_text, HasSubstr("\"text\":\"first\""));
}

TEST_F(CliTest, reload_reports_or_is_65) {
  with_server();
  EXPECT_EQ(run({"reload"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("1 added, 0 removed, 1 changed, 1 unchanged"));
  env.out_text.clear();
  EXPECT_EQ(run({"reload", "--json"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("\"generation\": 4"));
  view.result = make_error(ErrorCode::kBadInput, "mesh.yaml:3:1: unknown key 'hots'.");
  EXPECT_EQ(run({"reload"}), kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("mesh.yaml:3:1"));
}

TEST_F(CliTest, version_does_not_need_a_daemon) {
  EXPECT_EQ(run({"version"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("no daemon answers at /run/espalier/vici.sock"));
  env.out_text.clear();
  with_server();
  EXPECT_EQ(run({"version"}), kDone);
  EXPECT_EQ(env.out_text, "espalier 0.1.0\nespalierd 0.1.0 (Linux 6.1 x86_64)\n");
}

TEST_F(CliTest, teardown_refuses_under_a_running_daemon) {
  EXPECT_EQ(run({"teardown"}), kDone);
  EXPECT_EQ(env.teardowns, 1);
  EXPECT_THAT(env.out_text, HasSubstr("Removed the table espalier."));
  with_server();
  env.files["/run/espalier/espalierd.pid"] = "1234\n";
  EXPECT_EQ(run({"teardown"}), kFailed);
  EXPECT_EQ(env.teardowns, 1);
  EXPECT_THAT(env.err_text, HasSubstr("systemctl stop espalierd` or `kill 1234`"));
  EXPECT_EQ(run({"teardown", "--force"}), kDone);
  EXPECT_EQ(env.teardowns, 2);
  env.connector = nullptr;
  env.teardown_result = make_error(ErrorCode::kPermission, "Removing needs CAP_NET_ADMIN.");
  EXPECT_EQ(run({"teardown"}), kFailed);
  EXPECT_THAT(env.err_text, HasSubstr("CAP_NET_ADMIN"));
}

TEST_F(CliTest, a_new_secret_is_32_octets) {
  EXPECT_EQ(run({"secret", "new"}), kDone);
  EXPECT_EQ(env.out_text, "0sEVqj7DV+xxBZous0fcYPWKHqM3zFDleg6TJ7xA1Wn+g=\n");
}

constexpr std::string_view kInventory =
    "mesh: prod\n"
    "hosts:\n"
    "  bender: 192.0.2.11\n"
    "  flexo: {address: 192.0.2.12, subnets: [10.3.0.0/16]}\n"
    "foreign:\n"
    "  attic: {address: 198.51.100.7, id: attic.example.net, subnets: [10.9.0.0/24],\n"
    "          secret: \"file:attic.secret\"}\n";

TEST_F(CliTest, check_shows_what_the_host_would_do) {
  env.files["mesh.yaml"] = kInventory;
  EXPECT_EQ(run({"check", "mesh.yaml"}), kDone) << env.err_text;
  EXPECT_THAT(env.out_text,
              StartsWith("mesh.yaml: mesh prod, 2 hosts, 1 foreign peer: no faults.\n"));
  EXPECT_THAT(env.out_text, HasSubstr("bender would have 2 pairs:\n"));
  EXPECT_THAT(env.out_text, HasSubstr("  bender-flexo\n"));
  EXPECT_THAT(env.out_text, HasSubstr("10.3.0.0/16"));
  EXPECT_THAT(env.out_text, HasSubstr("aes256gcm16-prfsha384-x25519"));
  EXPECT_THAT(env.out_text, HasSubstr("private/attic.secret"));
  env.out_text.clear();
  EXPECT_EQ(run({"check", "mesh.yaml", "--self", "flexo", "--json"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("\"self\": \"flexo\""));
  EXPECT_THAT(env.out_text, HasSubstr("\"name\": \"flexo-attic\""));
  EXPECT_TRUE(env.connected_to.empty());  // offline
  EXPECT_EQ(run({"check", "mesh.yaml", "--self", "zoidberg"}), kFailed);
}

TEST_F(CliTest, check_works_on_a_machine_that_is_no_host_of_the_file) {
  env.files["f"] = "mesh: prod\nhosts: {amy: 192.0.2.13, flexo: 192.0.2.12}\n";
  EXPECT_EQ(run({"check", "f"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("no faults"));
  EXPECT_THAT(env.out_text, HasSubstr("--self"));
}

// The certificates beside the inventory, where they are there.
TEST_F(CliTest, check_looks_at_the_certificates_beside_the_file) {
  using crypto::test::Issue;
  const crypto::test::TestAuthority root("Root");
  const auto pem = [](const Bytes& der) {
    return "-----BEGIN CERTIFICATE-----\n" + to_base64(der) + "\n-----END CERTIFICATE-----\n";
  };
  const auto own = [&](std::int64_t until) {
    return pem(root.issue(
        "bender",
        Issue{false, {{NID_subject_alt_name, "DNS:bender"}}, crypto::test::kPkiStart, until}));
  };
  env.files["etc/mesh.yaml"] =
      "mesh: m\ndefaults: {auth: cert}\nhosts: {bender: 192.0.2.1, flexo: 192.0.2.2}\n";
  EXPECT_EQ(run({"check", "etc/mesh.yaml", "--self", "bender"}), kDone) << env.err_text;
  EXPECT_EQ(env.out_text.find("warning: "), std::string::npos) << env.out_text;
  env.files["etc/x509/bender.pem"] = own(env.wall + 5 * 86400);
  env.files["etc/x509ca/root.pem"] = pem(root.certificate);
  env.files["etc/private/bender.pem"] = crypto::test::TestAuthority::private_pem("bender");
  EXPECT_EQ(run({"check", "etc/mesh.yaml", "--self", "bender"}), kDone) << env.err_text;
  EXPECT_NE(env.out_text.find("warning: x509/bender.pem: the certificate 'CN=bender,O=Test' is "
                              "valid only until"),
            std::string::npos)
      << env.out_text;
  env.files["etc/private/bender.pem"] = crypto::test::TestAuthority::private_pem("flexo");
  EXPECT_EQ(run({"check", "etc/mesh.yaml", "--self", "bender"}), kBadInputFile);
  EXPECT_NE(env.out_text.find("fault: the private key private/bender.pem is not the key of the "
                              "certificate x509/bender.pem"),
            std::string::npos)
      << env.out_text;
  EXPECT_EQ(run({"check", "etc/mesh.yaml", "--self", "bender", "--json"}), kBadInputFile);
  EXPECT_NE(env.out_text.find("\"state\": \"urgent\""), std::string::npos) << env.out_text;
}

TEST_F(CliTest, check_says_what_needs_the_kernel_dataplane) {
  env.files["f"] =
      "mesh: prod\ndefaults: {mode: transport}\nhosts: {amy: 192.0.2.13, flexo: 192.0.2.12}\n";
  EXPECT_EQ(run({"check", "f"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("needs the kernel dataplane"));
  EXPECT_THAT(env.out_text, HasSubstr("f:2:18: 'mode: transport'"));
  env.out_text.clear();
  EXPECT_EQ(run({"check", "f", "--json"}), kDone);
  EXPECT_THAT(env.out_text, HasSubstr("\"dataplane\": \"kernel\""));
}

TEST_F(CliTest, check_prints_places_and_is_65) {
  env.files["f"] = "mesh: prod\nhots:\n  bender: 192.0.2.11\n";
  EXPECT_EQ(run({"check", "f"}), kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("f:2:1: "));
  EXPECT_EQ(env.out_text, "");
  EXPECT_EQ(run({"check", "f", "--json"}), kBadInputFile);
  EXPECT_THAT(env.out_text, HasSubstr("\"ok\": false"));
  EXPECT_THAT(env.out_text, HasSubstr("\"line\": 2"));
  EXPECT_EQ(run({"check", "missing"}), kBadInputFile);
  EXPECT_EQ(run({"check"}), kBadInputFile);
}

// The key as the Python lines of docs/pair-key.md compute it.
TEST_F(CliTest, the_secret_of_a_pair_is_the_published_derivation) {
  env.files["/c/mesh.yaml"] = kInventory;
  env.files["/c/private/mesh.secret"] =
      "0x857a854a6933255a7ef9e1f29e98d5641b67f56f06f7de567cd10f61a0474494\n";
  EXPECT_EQ(run({"secret", "pair", "flexo", "--config", "/c"}), kDone) << env.err_text;
  EXPECT_EQ(env.out_text, "0xf58f3bebe462a950d52276c0ed90aae26efc0edf2c0eb468f548b65091e117b0\n");
  env.out_text.clear();
  EXPECT_EQ(run({"--config", "/c", "secret", "pair", "attic"}), kFailed);
  EXPECT_THAT(env.err_text, HasSubstr("/c/private/attic.secret"));
  EXPECT_EQ(run({"--config", "/c", "secret", "pair", "zoidberg"}), kFailed);
  env.open_to_others = "/c/private/mesh.secret";
  EXPECT_EQ(run({"--config", "/c", "secret", "pair", "flexo"}), kBadInputFile);
  EXPECT_THAT(env.err_text, HasSubstr("chmod 0600"));
  EXPECT_EQ(env.out_text, "");
}

}  // namespace
}  // namespace espalier::cli
