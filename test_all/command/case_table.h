// CaseTable: commands and the replies they get, read from text files that are compiled in.
//
// The files of storage_node/command/testdata are used as they are; its README.md tells the format.
// What only a running server needs stands in comments, which the node's own test passes over, and
// holds for the case that they stand in:
//
//   # differs: why      Redis answers differently on purpose; the title says (kvs)
//   # since 7.2: why    redis-server 7.0 cannot answer this yet
//   # one shard: why    the replies show how many shards there are
//
// A reply that begins with '~' is a regular expression for the whole line.
//
// Threads: pure functions; the tables are values.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct EmbeddedFile {
  const char* name;
  const char* text;
};

// Every file that was compiled in; generated.
std::vector<EmbeddedFile> EmbeddedFiles();
// Returns the text of one of them.  REQUIRES: there is such a file
std::string_view EmbeddedText(std::string_view name);

struct CaseStep {
  std::string request;  // As it stands in the table.
  std::vector<std::string> args;
  std::string reply;  // RESP2 on one line.
  int line = 0;       // Of the request.

  bool is_pattern() const { return reply.starts_with("~"); }
};

struct Case {
  std::string table;
  std::string name;
  std::string differs;  // Each: why, or empty.
  std::string since;    // "7.2: why"
  std::string one_shard;
  bool marked_kvs = false;  // The title says (kvs).
  bool lets_time_pass = false;
  std::vector<CaseStep> steps;

  std::string title() const { return table + ": " + name; }
  // Whether redis-server 7.0 gives these replies.
  bool oracle_agrees() const { return differs.empty() && since.empty(); }
  // Whether a reply depends on keys that other clients may have, or on the names of its own.
  bool needs_empty_server() const;
};

// Reads one table.
//   kInvalidArgument: a line that has no meaning where it stands, with its number
Result<std::vector<Case>> ParseCases(std::string_view table, std::string_view text);

// Every case of every table, those that let time pass excepted: they need a clock of their own.
std::vector<Case> AllCases();
// The cases for a server that has all slots of a cluster, which the former leave out.
std::vector<Case> ClusterCases();

// Returns a reply on one line: a space for each line break, \xHH for what cannot be printed.
std::string OnOneLine(std::string_view reply);

}  // namespace kvs
