// INFO: sections of "name:value" lines, chosen by the arguments of the command.
//
// Threads: pure functions on the caller's data.

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvs {

class InfoSection {
 public:
  // `in_default` is false for sections that only their name, ALL or EVERYTHING shows.
  explicit InfoSection(std::string name, bool in_default = true)
      : name_(std::move(name)), in_default_(in_default) {}

  InfoSection& Add(std::string_view field, std::string_view value);
  InfoSection& Add(std::string_view field, int64_t value);
  InfoSection& AddFixed(std::string_view field, double value);  // Two decimals.

  const std::string& name() const { return name_; }
  bool in_default() const { return in_default_; }
  const std::string& body() const { return body_; }

 private:
  std::string name_;
  bool in_default_;
  std::string body_;
};

// Returns the wanted sections as INFO shows them: "# Name", lines, an empty line between sections.
// `wanted` are the arguments behind INFO, in any case; none means the default ones.
std::string FormatInfo(const std::vector<InfoSection>& sections,
                       std::span<const std::string_view> wanted);

// Bytes, as the kernel counts them.
struct ProcessMemory {
  uint64_t resident = 0;
  uint64_t peak = 0;
};
ProcessMemory ReadProcessMemory();

// Returns 1536 as "1.50K", as INFO shows it.
std::string HumanBytes(double bytes);

// Adds the processor time of the process.
void AddProcessCpu(InfoSection* section);

}  // namespace kvs
