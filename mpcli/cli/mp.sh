#!/bin/sh
# The installed `mp`. It finds its Python in the first line of the file beside it, where pip wrote it: that line itself
# starts nothing when the path of the environment has a space in it, and the launcher that pip would generate imports
# `re` at every start. Links to this file (pipx makes one) are followed.
mp=$0
while [ -L "$mp" ]; do
    target=$(readlink "$mp")
    case $target in
        /*) mp=$target ;;
        *) mp=${mp%/*}/$target ;;
    esac
done
IFS= read -r python < "${mp%/*}/.mp-python" && exec "${python#??}" "${mp%/*}/.mp-python" "$@"
