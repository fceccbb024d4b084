// `espalier mtu`: the sums, the search of a path, and a pair's report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/fake_environment.hpp"
#include "cli/path_search.hpp"
#include "cli/verb.hpp"
#include "control/fake_view.hpp"
#include "control/status_codec.hpp"

namespace espalier::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using Answer = PathProber::Answer;
using wire::vici::Section;

class MtuVerb : public ::testing::Test {
 protected:
  json run_json(std::vector<std::string> arguments) {
    env.out_text.clear();
    arguments.push_back("--json");
    EXPECT_EQ(cli::run(env, arguments), kDone) << env.err_text;
    return json::parse(env.out_text);
  }
  int wire(const std::string& suite, const std::string& mode, bool nat) {
    std::vector<std::string> arguments{"mtu", "--packet", "1450", "--suite", suite, "--mode", mode};
    if (nat) arguments.emplace_back("--nat");
    return run_json(arguments)["packets"][0]["wire"].get<int>();
  }
  FakeEnvironment env;
};

TEST_F(MtuVerb, a_packet_of_1450_octets) {
  EXPECT_EQ(wire("aes128-sha256", "transport", false), 1500);
  EXPECT_EQ(wire("aes128-sha256", "tunnel", false), 1516);
  EXPECT_EQ(wire("aes256-sha512", "transport", false), 1516);
  EXPECT_EQ(wire("aes256-sha512", "tunnel", false), 1532);
  EXPECT_EQ(wire("aes256gcm16", "transport", false), 1484);
  EXPECT_EQ(wire("aes256gcm16", "tunnel", false), 1504);
  EXPECT_EQ(wire("aes256gcm16", "tunnel", true), 1512);
}

TEST_F(MtuVerb, the_terms_add_up) {
  for (const std::string suite : {"aes256gcm16", "chacha20poly1305", "aes256-sha384"}) {
    for (const std::string mode : {"tunnel", "transport"}) {
      const json row = run_json(
          {"mtu", "--suite", suite, "--mode", mode, "--ipv6", "--path", "1400"})["packets"][0];
      int sum = 0;
      for (const json& term : row["terms"]) sum += term["octets"].get<int>();
      EXPECT_EQ(sum, row["wire"].get<int>());
      EXPECT_LE(row["wire"].get<int>(), 1400);
      EXPECT_EQ(row["packet"], row["largest_inner"]);
      EXPECT_EQ(row["mss_ipv4"].get<int>(), row["largest_inner"].get<int>() - 40);
    }
  }
}

TEST_F(MtuVerb, text_has_every_term) {
  EXPECT_EQ(cli::run(env, std::vector<std::string>{"mtu", "--suite", "aes256gcm16", "--nat"}),
            kDone);
  for (const char* term : {"outer IPv4 header", "UDP header", "ESP header", "IV", "padding",
                           "trailer", "ICV", "1500 octets (assumed)", "1438", "MSS 1398"}) {
    EXPECT_THAT(env.out_text, HasSubstr(term));
  }
}

TEST_F(MtuVerb, wrong_words_are_64) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"mtu"},
        {"mtu", "--suite", "aes256gcm16", "--mode", "ring"},
        {"mtu", "--suite", "aes256gcm16", "--packet", "12"},
        {"mtu", "--suite", "aes256gcm16", "--packet", "1450x"},
        {"mtu", "--suite", "aes256-sha256-sha512"},
        {"mtu", "--suite", "frob"}}) {
    EXPECT_EQ(cli::run(env, arguments), kWrongUsage) << arguments.back();
    EXPECT_EQ(env.out_text, "");
  }
}

// A path that answers what fits, says so of some sizes and swallows the rest.
class PathModel : public PathProber {
 public:
  PathModel(std::size_t link, std::size_t router, std::size_t hole, bool answers = true)
      : link_(link), router_(router), hole_(hole), answers_(answers) {}
  Result<Outcome> probe(std::size_t octets) override {
    ++count;
    if (octets > link_) return Outcome{Answer::kTooBig, link_};
    if (octets > router_) return Outcome{Answer::kTooBig, router_};
    if (octets > hole_ || !answers_) return Outcome{};
    return Outcome{Answer::kAnswered, 0};
  }
  std::size_t count = 0;

 private:
  std::size_t link_, router_, hole_;
  bool answers_;
};

TEST(PathSearch, what_routers_say) {
  PathModel path(1500, 1400, 1400, false);
  const PathSearch found = ask_path(path, 65000, {}).value();
  EXPECT_EQ(found.told_mtu, 1400u);
  EXPECT_FALSE(found.passed);
  EXPECT_LE(path.count, 12u);
}

TEST(PathSearch, a_black_hole_is_found) {
  for (const std::size_t hole : {301u, 1000u, 1279u, 1399u}) {
    PathModel path(1500, 1400, hole);
    const PathSearch found = largest_answered(path, 300, 65000, {}).value();
    EXPECT_EQ(found.passed, hole);
    EXPECT_EQ(found.told_mtu, 1400u);
    EXPECT_LE(path.count, 40u);
  }
  PathModel silent(1500, 1500, 0);
  EXPECT_FALSE(largest_answered(silent, 300, 65000, {}).value().passed);
  PathModel open(1438, 1438, 1438);
  const PathSearch found = largest_answered(open, 300, 65000, {}).value();
  EXPECT_EQ(found.passed, 1438u);
  EXPECT_EQ(found.probes, 2u);
}

// A daemon that has one pair.
class OnePair : public Connection {
 public:
  explicit OnePair(control::PairStatus pair) : pair_(std::move(pair)) {}
  Result<Section> request(std::string_view, const Section&, const OnEvent& on_event,
                          Duration) override {
    on_event(control::kPairEvent, control::encode_pair(pair_));
    control::StatusSnapshot status;
    status.mesh = "m";
    status.self = "bender";
    status.version = "1";
    status.dataplane = "kernel";
    status.generation = 1;
    return control::encode_summary(status);
  }
  Status subscribe(std::string_view) override { return {}; }
  Status follow(const OnEvent&) override { return {}; }

 private:
  control::PairStatus pair_;
};

control::PairStatus up_pair() {
  control::PairStatus pair;
  pair.name = "bender-flexo";
  pair.peer = "flexo";
  pair.state = "up";
  pair.ike = control::IkeStatus{};
  pair.ike->local = "192.0.2.1[4500]";
  pair.ike->remote = "192.0.2.2[4500]";
  control::ChildStatus child;
  child.name = "net";
  child.mode = "tunnel";
  child.state = "installed";
  child.suite = "aes256gcm16-x25519-esn";
  child.udp_encap = true;
  child.local_ts = {"192.0.2.1/32", "10.1.0.0/16"};
  child.remote_ts = {"192.0.2.2/32"};
  pair.children.push_back(child);
  return pair;
}

TEST_F(MtuVerb, a_pair_is_probed_outside_and_through) {
  env.connector = [](const std::string&) -> Result<std::unique_ptr<Connection>> {
    return std::unique_ptr<Connection>(std::make_unique<OnePair>(up_pair()));
  };
  std::vector<ProbeTarget> targets;
  env.prober = [&](const ProbeTarget& target) -> Result<std::unique_ptr<PathProber>> {
    targets.push_back(target);
    const bool outside = target.way == ProbeTarget::Way::kOutside;
    return std::unique_ptr<PathProber>(outside
                                           ? std::make_unique<PathModel>(1500, 1400, 1400, false)
                                           : std::make_unique<PathModel>(1438, 1438, 1238));
  };
  const json report = run_json({"mtu", "flexo"});
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0].remote.to_string(), "192.0.2.2[4500]");
  EXPECT_EQ(report["pair"], "bender-flexo");
  EXPECT_EQ(report["path_mtu"], 1400);
  EXPECT_EQ(report["packets"][0]["largest_inner"], 1338);
  EXPECT_EQ(report["packets"][0]["udp_encap"], true);
  EXPECT_EQ(report["through"]["passed"], 1238);
  ASSERT_EQ(report["notes"].size(), 1u);
  EXPECT_THAT(report["notes"][0].get<std::string>(), HasSubstr("MSS of 1198"));
}

TEST_F(MtuVerb, without_rights_the_sums_remain) {
  env.connector = [](const std::string&) -> Result<std::unique_ptr<Connection>> {
    return std::unique_ptr<Connection>(std::make_unique<OnePair>(up_pair()));
  };
  const json report = run_json({"mtu", "flexo"});
  EXPECT_EQ(report["path_known"], false);
  EXPECT_EQ(report["notes"].size(), 2u);
  EXPECT_EQ(report["packets"][0]["largest_inner"], 1438);
}

}  // namespace
}  // namespace espalier::cli
