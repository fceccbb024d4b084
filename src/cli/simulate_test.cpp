// `espalier simulate`: its options, its exit statuses, its answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/fake_environment.hpp"
#include "cli/simulate_options.hpp"
#include "cli/simulate_report.hpp"
#include "cli/verb.hpp"
#include "sim/scenario.hpp"

namespace espalier::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kMesh =
    "mesh: prod\nhosts:\n  bender: 192.0.2.11\n  flexo: 192.0.2.12\n  amy: 192.0.2.13\n";

struct Tried {
  int status = 0;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out); }
};

Tried simulate(std::vector<std::string> arguments, const std::string& inventory = kMesh) {
  FakeEnvironment env;
  env.files["mesh.yaml"] = inventory;
  arguments.insert(arguments.begin(), {"simulate", "mesh.yaml"});
  Tried tried;
  tried.status = run(env, arguments);
  tried.out = env.out_text;
  tried.err = env.err_text;
  return tried;
}

TEST(Simulate, JsonHasWhatIsPromised) {
  const Tried tried = simulate({"--json", "--seeds", "4", "--loss", "10"});
  ASSERT_EQ(tried.status, kDone) << tried.err;
  const auto json = tried.json();
  EXPECT_EQ(json["hosts"], 3);
  EXPECT_EQ(json["pairs"], 3);
  EXPECT_EQ(json["seeds"], 4);
  EXPECT_EQ(json["broken_pairs"], 0);
  EXPECT_EQ(json["violations"], nlohmann::json::array());
  EXPECT_GE(json["messages"], 4 * 3 * 4);
  EXPECT_GE(json["ike_sas"], 12);
  EXPECT_GE(json["child_sas"], 12);
  EXPECT_GT(json["virtual_seconds_to_whole"]["median"], 0.0);
  EXPECT_GE(json["virtual_seconds_to_whole"]["max"], json["virtual_seconds_to_whole"]["median"]);
  EXPECT_GT(json["wall_seconds"], 0.0);
  EXPECT_TRUE(json.contains("bytes_per_pair"));
}

TEST(Simulate, TheSameSeedIsTheSameRun) {
  const std::vector<std::string> arguments{"--loss", "30", "--duplicate", "5",     "--reorder", "5",
                                           "--seed", "77", "--reboot",    "amy@2s"};
  const Tried once = simulate(arguments), again = simulate(arguments);
  EXPECT_EQ(once.status, kDone);
  EXPECT_EQ(once.out, again.out);
}

TEST(Simulate, ARebootIsHealedAndToldOf) {
  const Tried tried = simulate({"--json", "--reboot", "bender@37s", "--reboot", "flexo@1m"});
  ASSERT_EQ(tried.status, kDone) << tried.out;
  const auto json = tried.json();
  EXPECT_EQ(json["broken_pairs"], 0);
  ASSERT_EQ(json["down"].size(), 3u);
  for (const auto& pair : json["down"]) {
    EXPECT_GE(pair["down_seconds"], 5.0) << pair;
    EXPECT_LT(pair["longest_seconds"], 10.0) << pair;
  }
  EXPECT_LT(json["virtual_seconds_to_heal"]["max"], 5.0);
}

TEST(Simulate, ATraceOfOnePairHasNothingOfTheOthers) {
  const Tried tried = simulate({"--trace", "--only", "flexo,bender", "--rebind", "flexo@9s"});
  ASSERT_EQ(tried.status, kDone) << tried.out;
  EXPECT_THAT(tried.out, HasSubstr("flexo         -> bender  IKE_SA_INIT request 0"));
  EXPECT_THAT(tried.out, HasSubstr("<- flexo  IKE_AUTH request 1 [ IDi"));
  EXPECT_THAT(tried.out, HasSubstr("timer: "));
  EXPECT_THAT(tried.out, HasSubstr("flexo comes from other ports"));
  EXPECT_THAT(tried.out, Not(HasSubstr("amy")));
}

TEST(Simulate, ExpiredSasAreMadeAgain) {
  for (const char* option : {"--expire", "--soft-expire"}) {
    const Tried tried = simulate({"--json", option, "bender@37s"});
    ASSERT_EQ(tried.status, kDone) << tried.out;
    EXPECT_EQ(tried.json()["child_sas"], 3 + 2) << option;
  }
}

TEST(Simulate, SasThatVanishAreFoundMissingAndMadeAgain) {
  const Tried tried = simulate({"--json", "--vanish", "bender@37s"});
  ASSERT_EQ(tried.status, kDone) << tried.out;
  EXPECT_EQ(tried.json()["child_sas"], 3 + 2);
}

// What a random mesh prints to repeat it is what was run.
TEST(Simulate, TheCommandLineOfARandomMeshIsItsOptions) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const std::string told = sim::arguments(sim::random_scenario(seed).options);
    std::vector<std::string> words;
    std::istringstream stream(told);
    for (std::string word; stream >> word;) words.push_back(word);
    const auto all = verb_table();
    const auto verb = std::find_if(all.begin(), all.end(),
                                   [](const Verb& one) { return one.name == "simulate"; });
    const auto parsed = control::parse_options(words, verb->options, control::StopAt::kEnd);
    ASSERT_TRUE(parsed) << told;
    const auto again = parse_simulate(*parsed);
    ASSERT_TRUE(again) << told << ": " << again.error().message;
    EXPECT_EQ(sim::arguments(again->options), told);
  }
}

TEST(Simulate, ANetsplitTakesDownOnePair) {
  const Tried tried = simulate({"--json", "--netsplit", "bender,flexo@30s+3m"});
  ASSERT_EQ(tried.status, kDone) << tried.out;
  const auto json = tried.json();
  ASSERT_EQ(json["down"].size(), 1u);
  EXPECT_EQ(json["down"][0]["pair"], "bender-flexo");
  EXPECT_GT(json["down"][0]["down_seconds"], 60.0);
}

TEST(Simulate, TheKilledAreNamedAndDoNotCountAsBroken) {
  const Tried tried = simulate({"--json", "--kill", "34@30s"});
  ASSERT_EQ(tried.status, kDone) << tried.out;
  const auto json = tried.json();
  EXPECT_EQ(json["killed"].size(), 1u);
  EXPECT_EQ(json["broken_pairs"], 0);
  EXPECT_EQ(json["pairs"], 3);
}

TEST(Simulate, WrongUsageIs64) {
  for (const auto& [arguments, said] :
       std::vector<std::pair<std::vector<std::string>, const char*>>{
           {{"--reboot", "bnder@37s"}, "did you mean 'bender'?"},
           {{"--reboot", "nobody@37s"}, "--reboot: mesh.yaml has no host 'nobody'"},
           {{"--reboot", "bender"}, "write HOST@T"},
           {{"--reboot", "bender@soon"}, "'soon' is no time"},
           {{"--netsplit", "bender,flexo@1s"}, "write A,B@T+D"},
           {{"--netsplit", "bender@1s+2s"}, "write A,B@T+D"},
           {{"--netsplit", "bender,bender@1s+2s"}, "cannot be split from itself"},
           {{"--netsplit", "bender,zoidberg@1s+2s"}, "has no host 'zoidberg'"},
           {{"--kill", "10"}, "write P@T"},
           {{"--kill", "101@3s"}, "from 0 to 100"},
           {{"--loss", "-1"}, "from 0 to 100"},
           {{"--loss", "many"}, "no share in per cent"},
           {{"--seeds", "0"}, "whole number"},
           {{"--seed", "1x"}, "whole number"},
           {{"--crypto", "none"}, "auto, real or simulated"},
           {{"--losses", "1"}, "did you mean --loss?"},
           {{"--trace", "--json"}, "one seed as text"},
           {{"--only", "bender,flexo"}, "beside --trace"},
           {{"--trace", "--only", "bender"}, "write A,B"},
           {{"--trace", "--only", "bender,flexxo"}, "did you mean 'flexo'?"},
           {{"--loss", "1", "--loss", "2"}, "given twice"},
           {{"second.yaml"}, "The usage is"}}) {
    const Tried tried = simulate(arguments);
    EXPECT_EQ(tried.status, kWrongUsage) << arguments.front();
    EXPECT_THAT(tried.err, HasSubstr(said));
    EXPECT_EQ(tried.out, "");
  }
}

TEST(Simulate, ABadInventoryIs65WithThePlace) {
  const Tried tried = simulate({"--json"}, "mesh: prod\nhosts:\n  bender: 192.0.2.300\n");
  EXPECT_EQ(tried.status, kBadInputFile);
  EXPECT_THAT(tried.err, StartsWith("mesh.yaml:3:"));
  FakeEnvironment env;
  EXPECT_EQ(run(env, std::vector<std::string>{"simulate", "gone.yaml"}), kBadInputFile);
}

TEST(Simulate, TimesAndShares) {
  control::ParsedOptions given;
  given.values = {{"--loss", "12.5%"}, {"--latency", "1.5ms"}, {"--for", "2h"}};
  given.lists["--reboot"] = {"a@37s", "b@0.5m", "c@0"};
  const auto parsed = parse_simulate(given);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_DOUBLE_EQ(parsed->options.network.loss, 0.125);
  EXPECT_EQ(parsed->options.network.latency, 1500us);
  EXPECT_EQ(parsed->options.run_for, 2h);
  ASSERT_EQ(parsed->options.reboots.size(), 3u);
  EXPECT_EQ(parsed->options.reboots[1].at, 30s);
  EXPECT_EQ(parsed->options.reboots[2].at, 0s);
  EXPECT_EQ(parsed->text,
            " --for 2h --latency 1.5ms --loss 12.5% --reboot a@37s --reboot b@0.5m "
            "--reboot c@0");
}

TEST(Simulate, TheTraceReadsBothSides) {
  const Tried tried = simulate({"--trace"},
                               "mesh: prod\nhosts: {bender: 192.0.2.11, flexo: "
                               "192.0.2.12}\n");
  ASSERT_EQ(tried.status, kDone);
  EXPECT_THAT(tried.out, HasSubstr("-> flexo  IKE_SA_INIT request 0"));
  EXPECT_THAT(tried.out, HasSubstr("IKE_AUTH request 1 [ IDi"));
  EXPECT_THAT(tried.out, HasSubstr("dataplane: install inbound"));
  EXPECT_THAT(tried.out, HasSubstr("timer: "));
}

TEST(Simulate, AFailureSaysHowToRepeatIt) {
  SimulateReport report;
  report.file = "mesh.yaml";
  report.arguments = " --loss 20";
  sim::RunOutcome outcome;
  outcome.seed = 42;
  outcome.pairs = 1;
  outcome.broken_pairs = 1;
  sim::PairOutcome pair;
  pair.a = "bender";
  pair.b = "flexo";
  pair.broken = "bender: bender-flexo has 2 IKE SAs";
  outcome.down = {pair};
  outcome.violation_count = 1;
  outcome.violations = {"1.000000 s: bender: a timer without a reason"};
  add(report, outcome);
  EXPECT_THAT(simulate_text(report),
              HasSubstr("espalier simulate mesh.yaml --loss 20 --seed 42 --trace"));
  EXPECT_THAT(simulate_text(report), HasSubstr("BROKEN: bender: bender-flexo has 2 IKE SAs"));
  const auto json = nlohmann::json::parse(simulate_json(report));
  EXPECT_EQ(json["broken_pairs"], 1);
  EXPECT_EQ(json["failed_seeds"], nlohmann::json::array({42}));
  EXPECT_THAT(json["violations"][0], HasSubstr("seed 42: 1.000000 s"));
}

}  // namespace
}  // namespace espalier::cli
