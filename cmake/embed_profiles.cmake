# Puts profiles/*.yaml into pf_catalog, so that the program has its profiles wherever it is copied to.
# The files stay the one source; users overlay them with a directory of their own.

file(GLOB profile_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/profiles/*.yaml)
set(entries "")
foreach(file ${profile_files})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  get_filename_component(name ${file} NAME)
  string(APPEND entries "      {\"profiles/${name}\", R\"PROFILE(${text})PROFILE\"},\n")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/built_in_profiles.cc @ONLY CONTENT
"#include \"catalog/profile_files.h\"

namespace pixelfleet::catalog {

const std::vector<BuiltInProfile>& built_in_profiles() {
  static const std::vector<BuiltInProfile> profiles = {
@entries@  };
  return profiles;
}

}  // namespace pixelfleet::catalog
")
target_sources(pf_catalog PRIVATE ${CMAKE_BINARY_DIR}/generated/built_in_profiles.cc)
