# Writes ${OUT}; called by cmake/Version.cmake at every build.
execute_process(COMMAND git -C "${SOURCE}" describe --always --dirty --abbrev=12
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                RESULT_VARIABLE failed)
if(failed OR commit STREQUAL "")
  set(commit "unknown")
endif()
if(DEFINED ENV{KVS_VERSION})
  set(VERSION "$ENV{KVS_VERSION}")
endif()
set(text "#include \"common/base/build_info.h\"

namespace kvs {
const char* const kBuildVersion = \"${VERSION}\";
const char* const kBuildCommit = \"${commit}\";
const char* const kBuildCompiler = \"${COMPILER}\";
const char* const kBuildFlavour = \"${FLAVOUR}\";
}  // namespace kvs
")
file(CONFIGURE OUTPUT "${OUT}" CONTENT "${text}" @ONLY)
