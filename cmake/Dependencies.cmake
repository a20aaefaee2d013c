# Third party code comes from system packages (`./build.sh deps`); CMake downloads nothing.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(GTest REQUIRED)
find_package(leveldb REQUIRED)
find_package(RapidJSON REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)
find_package(prometheus-cpp CONFIG REQUIRED)

# The servers' allocator.  Sanitizers bring their own.
add_library(kvs_allocator INTERFACE)
if(KVS_SANITIZE STREQUAL "" AND NOT KVS_FUZZ)
  pkg_check_modules(jemalloc REQUIRED IMPORTED_TARGET jemalloc)
  target_link_libraries(kvs_allocator INTERFACE PkgConfig::jemalloc)
endif()
