# SPDX-License-Identifier: MIT
# To be sourced by those who make an initramfs: kernel modules, unpacked, after what they depend on.
# They set $modules_dir, the folder that the kernel's modules lie in, and $root, that of the archive,
# and have a function fail.

# Prints the file of module $1, or nothing when it is built into the kernel. Packages differ in
# whether they spell a name with - or _.
module_file() {
	find "$modules_dir" -regex ".*/${1//_/[-_]}\.ko\(\.xz\|\.zst\|\.gz\)?" | head -n 1
}

# Unpacks module $1 to lib/modules of the archive, after all that it depends on, and appends it to the
# load order there.
add_module() {
	local file dependency target=$root/lib/modules/$1.ko
	[ ! -e "$target" ] || return 0
	file=$(module_file "$1")
	[ -n "$file" ] || return 0
	case $file in
	*.xz) xz -dc "$file" ;;
	*.zst) zstd -qdc "$file" ;;
	*.gz) gzip -dc "$file" ;;
	*) cat "$file" ;;
	esac >"$target" || fail "$file cannot be unpacked: apt-get install xz-utils zstd gzip"
	for dependency in $(tr '\0' '\n' <"$target" | sed -n 's/^depends=//p' | tr ',-' ' _'); do
		add_module "$dependency"
	done
	echo "$1" >>"$root/lib/modules/order"
}
