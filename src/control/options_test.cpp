#include "control/options.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "control/daemon_options.hpp"
#include "control/version.hpp"

namespace espalier::control {
namespace {

std::string slurp(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<DaemonOptions> parse(std::vector<std::string> arguments) {
  return parse_daemon_options(arguments);
}

TEST(DaemonOptionsTest, defaults_are_those_of_the_design) {
  const auto options = parse({});
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->config, "/etc/espalier");
  EXPECT_EQ(options->state, "/var/lib/espalier");
  EXPECT_EQ(options->run, "/run/espalier");
  EXPECT_FALSE(options->self.has_value());
  EXPECT_EQ(options->dataplane, DataplaneChoice::kAuto);
  EXPECT_EQ(options->log_level, LogLevel::kInfo);
}

TEST(DaemonOptionsTest, every_option_is_taken_in_both_spellings) {
  const auto options = parse({"--config", "/c", "--state=/s", "--run", "/r", "--self=bender",
                              "--dataplane", "userspace", "--log-level=trace"});
  ASSERT_TRUE(options.ok()) << options.error().message;
  EXPECT_EQ(options->config, "/c");
  EXPECT_EQ(options->state, "/s");
  EXPECT_EQ(options->run, "/r");
  EXPECT_EQ(options->self, "bender");
  EXPECT_EQ(options->dataplane, DataplaneChoice::kUserspace);
  EXPECT_EQ(options->log_level, LogLevel::kTrace);
}

TEST(DaemonOptionsTest, what_is_not_supported_yet_is_refused_and_said) {
  const auto options = parse({"--swanctl", "/etc/swanctl"});
  ASSERT_FALSE(options.ok());
  EXPECT_EQ(options.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(options.error().message.find("not supported yet"), std::string::npos);
  EXPECT_EQ(parse({"--dataplane=kernel"})->dataplane, DataplaneChoice::kKernel);
}

TEST(DaemonOptionsTest, wrong_usage_is_named) {
  const auto message = [](std::vector<std::string> arguments) {
    const auto options = parse(std::move(arguments));
    EXPECT_FALSE(options.ok());
    if (options.ok()) return std::string();
    EXPECT_EQ(options.error().code, ErrorCode::kInvalidArgument);
    return options.error().message;
  };
  EXPECT_EQ(message({"--confg", "/c"}), "There is no option --confg; did you mean --config?");
  EXPECT_EQ(message({"--run"}), "--run needs a value: --run DIR.");
  EXPECT_EQ(message({"--run="}), "The value of --run is empty.");
  EXPECT_EQ(message({"--run", "/a", "--run", "/b"}), "--run is given twice.");
  EXPECT_EQ(message({"--help=yes"}), "--help takes no value.");
  EXPECT_NE(message({"status"}).find("'status' is none"), std::string::npos);
  EXPECT_NE(message({"--dataplane=fast"}).find("not 'fast'"), std::string::npos);
  EXPECT_NE(message({"--log-level", "loud"}).find("not 'loud'"), std::string::npos);
}

TEST(DaemonOptionsTest, help_and_version_win) {
  EXPECT_EQ(parse({"--swanctl", "/x", "-h"})->action, DaemonAction::kHelp);
  EXPECT_EQ(parse({"--version"})->action, DaemonAction::kShowVersion);
}

TEST(DaemonOptionsTest, help_has_every_option) {
  const std::string help = daemon_help();
  for (const OptionSpec& option : daemon_option_table()) {
    EXPECT_NE(help.find(option.name), std::string::npos) << option.name;
  }
}

TEST(OptionsTest, stops_at_the_first_word_when_asked) {
  const std::vector<std::string> arguments{"--run", "/r", "status", "--run", "/q"};
  const auto parsed = parse_options(arguments, daemon_option_table(), StopAt::kFirstWord);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->used, 2u);
  EXPECT_EQ(parsed->get("--run", ""), "/r");
}

TEST(OptionsTest, two_dashes_end_the_options) {
  const std::vector<std::string> arguments{"--", "--run", "-"};
  const auto parsed = parse_options(arguments, daemon_option_table(), StopAt::kEnd);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->words, (std::vector<std::string>{"--run", "-"}));
}

TEST(ManPageTest, roff_is_escaped) {
  EXPECT_EQ(roff_escape("a-b\\c"), "a\\-b\\ec");
  EXPECT_EQ(roff_escape(".x\n'y"), "\\&.x\n\\&'y");
}

// After a change of the tables: ESPALIER_REGENERATE=1 control_test
TEST(ManPageTest, committed_page_of_the_daemon_is_fresh) {
  const std::string path = ESPALIER_SOURCE "/docs/man/espalierd.8";
  if (std::getenv("ESPALIER_REGENERATE") != nullptr) std::ofstream(path) << daemon_man();
  EXPECT_EQ(slurp(path), daemon_man());
}

TEST(VersionTest, is_the_version_of_the_build) {
  const std::string build = slurp(ESPALIER_SOURCE "/CMakeLists.txt");
  const std::string wanted = "project(espalier VERSION " + std::string(kVersion) + " ";
  EXPECT_NE(build.find(wanted), std::string::npos);
}

}  // namespace
}  // namespace espalier::control
