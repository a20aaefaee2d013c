# build_info.cc is written anew at each build, and only if it changed, so that `--version` names the
# commit that was really compiled.
set(KVS_BUILD_INFO "${PROJECT_BINARY_DIR}/generated/build_info.cc")
add_custom_target(kvs_build_info
  COMMAND "${CMAKE_COMMAND}" -DSOURCE=${PROJECT_SOURCE_DIR} -DOUT=${KVS_BUILD_INFO}
          -DVERSION=${PROJECT_VERSION} "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
          "-DFLAVOUR=$<CONFIG>$<$<BOOL:${KVS_SANITIZE}>:+${KVS_SANITIZE}>"
          -P "${PROJECT_SOURCE_DIR}/cmake/WriteBuildInfo.cmake"
  BYPRODUCTS "${KVS_BUILD_INFO}"
  VERBATIM)
