// Bits flip in the files of a store.  Afterwards it may refuse to open, or refuse a read or a
// write, in words that name the place; it never shows a value that was not written, nor hides one,
// unless the log itself is hurt: then it says so and shows an earlier state.  And what CheckData()
// passes is right to the last key.

#include <filesystem>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/slowness.h"
#include "storage_node/check/check_test_util.h"
#include "storage_node/check/data_check.h"

namespace kvs {
namespace {

constexpr int kRounds = 40 / kSlownessFactor;

std::vector<std::string> FilesOf(const std::string& dir) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dir)) {
    // LevelDB's own journal says nothing about data, and lock files are empty.
    if (entry.is_regular_file() && entry.file_size() > 0 && entry.path().filename() != "LOG") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Flips up to three bits near each other, as a bad cell or cable does.
std::string FlipBits(const std::string& dir, Random* random) {
  const std::vector<std::string> files = FilesOf(dir);
  const std::string& path = files[random->Uniform(files.size())];
  std::string content = *ReadFile(path);
  const size_t at = random->Uniform(content.size());
  for (uint64_t i = 0; i <= random->Uniform(3); ++i) {
    const size_t place = std::min(at + random->Uniform(8), content.size() - 1);
    content[place] = static_cast<char>(content[place] ^ (1 << random->Uniform(8)));
  }
  EXPECT_TRUE(WriteFileAtomic(path, content).ok());
  return path + " at " + std::to_string(at);
}

struct Findings {
  bool refused = false;  // It does not open, or says that its log is damaged.
  int errors = 0;        // Reads that were refused.
  std::string wrong;     // A value that is not what was written.
};

// Opens the store and compares all that it says with what was written.
Findings ReadAll(const FilledDir& data, const std::string& dir) {
  Findings findings;
  const Result<std::unique_ptr<Store>> store =
      Store::Open(FilledDir::Options(dir), Clock::System());
  if (!store.ok()) {
    EXPECT_NE(store.status().message(), "");
    findings.refused = true;
    return findings;
  }
  findings.refused = !(*store)->WriteHealth().ok();
  for (int n = 0; n < 2000; ++n) {
    std::string record;
    const Status status = (*store)->Get(FilledDir::SlotFor(n), FilledDir::Key(n), &record);
    const auto written = data.values().find(n);
    if (!status.ok() && status.code() != Code::kNotFound) {
      ++findings.errors;
      EXPECT_NE(status.message().find("/engine/"), std::string::npos) << status.message();
    } else if (status.ok() != (written != data.values().end())) {
      findings.wrong = FilledDir::Name(n) + (status.ok() ? " is back" : " is missing");
    } else if (status.ok() && !record.ends_with(written->second)) {
      findings.wrong = FilledDir::Name(n) + " has another value";
    }
  }
  return findings;
}

TEST(BitRotTest, AFlippedBitIsRefusedAndNeverShown) {
  Random random = Random::FromKernel();
  const uint64_t seed = random.Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  random = Random(seed);
  int refused = 0;
  int refused_reads = 0;
  for (int crashed = 0; crashed < 2; ++crashed) {
    FilledDir data;
    ASSERT_NO_FATAL_FAILURE(data.Open());
    ASSERT_NO_FATAL_FAILURE(data.Write(4000, &random));
    crashed != 0 ? data.Crash() : data.Close();
    for (int round = 0; round < kRounds / 2; ++round) {
      const std::string dir = data.dir() + ".hurt";
      std::filesystem::copy(data.dir(), dir, std::filesystem::copy_options::recursive);
      const std::string place = FlipBits(dir, &random);
      SCOPED_TRACE(place);
      const Result<DataCheckReport> report = CheckData(dir);
      const bool passed = report.ok() && report->ok();
      const bool torn = crashed != 0 && report.ok() && !report->notes.empty();
      const Findings findings = ReadAll(data, dir);
      EXPECT_TRUE(findings.refused || torn || findings.wrong.empty()) << findings.wrong;
      if (passed) {
        EXPECT_TRUE(torn || findings.wrong.empty()) << findings.wrong;
        EXPECT_EQ(findings.errors, 0) << FormatDataCheck(dir, *report);
        EXPECT_FALSE(findings.refused) << FormatDataCheck(dir, *report);
      }
      refused += findings.refused ? 1 : 0;
      refused_reads += findings.errors;
      ASSERT_TRUE(RemoveTree(dir).ok());
    }
  }
  EXPECT_GT(refused + refused_reads, 0);  // Else the flips hit nothing that matters.
}

}  // namespace
}  // namespace kvs
