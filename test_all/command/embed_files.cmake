# Writes ${OUT}: a table of the files named in ${FILES}, a list of NAME=PATH.  Lines become string
# literals of their own, because a compiler need not take one of more than 64 KiB.
set(rows "")
foreach(file IN LISTS FILES)
  string(REGEX MATCH "^[^=]+" name "${file}")
  string(REGEX REPLACE "^[^=]+=" "" path "${file}")
  file(READ "${path}" text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
  string(APPEND rows "    {\"${name}\",\n     \"${text}\"},\n")
endforeach()
file(WRITE "${OUT}" "#include \"test_all/command/case_table.h\"

namespace kvs {

std::vector<EmbeddedFile> EmbeddedFiles() {
  return {
${rows}  };
}

}  // namespace kvs
")
