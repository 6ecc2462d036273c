# SPDX-License-Identifier: MIT
# The pictures that README.md shows. They are committed; this draws them anew.

.PHONY: pictures
pictures: deps ## Draw README's pictures anew: the answer, from docs/RESULTS.md, and the demo's trace
	@$(BUILD_ALL) all kvm-machine
	@mkdir -p "$(B)/pictures"
	@"$(B)/with-kvm" --count --timeout 240 --out "$(B)/pictures" "$(B)/vmm" --trace "$(B)/pictures/trace.json" \
		"$(B)/guest.elf" >/dev/null
	@docs/pictures/draw trace "$(B)/pictures/trace.json" >docs/pictures/trace.svg
	@docs/pictures/draw headline docs/RESULTS.md >docs/pictures/headline.svg
