# The targets, from the folders where headers and libraries are.

function(_shmkit_targets include lib version abi)
    if(TARGET shmkit::shmkit)
        return()
    endif()
    add_library(shmkit::shared SHARED IMPORTED GLOBAL)
    set_target_properties(shmkit::shared PROPERTIES
        IMPORTED_LOCATION "${lib}/libshmkit.so.${version}"
        IMPORTED_SONAME "libshmkit.so.${abi}"
        INTERFACE_INCLUDE_DIRECTORIES "${include}")

    # Beside the library what a static program needs of the system.
    add_library(shmkit::static STATIC IMPORTED GLOBAL)
    set_target_properties(shmkit::static PROPERTIES
        IMPORTED_LOCATION "${lib}/libshmkit.a"
        IMPORTED_LINK_INTERFACE_LANGUAGES C
        INTERFACE_LINK_LIBRARIES "gcc_s;util;rt;pthread;m;dl;c"
        INTERFACE_INCLUDE_DIRECTORIES "${include}")

    add_library(shmkit::shmkit INTERFACE IMPORTED GLOBAL)
    if(SHMKIT_USE_STATIC)
        set_target_properties(shmkit::shmkit PROPERTIES INTERFACE_LINK_LIBRARIES shmkit::static)
    else()
        set_target_properties(shmkit::shmkit PROPERTIES INTERFACE_LINK_LIBRARIES shmkit::shared)
    endif()
endfunction()
