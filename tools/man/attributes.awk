# SPDX-License-Identifier: GPL-2.0
# nvtgt-attributes(5) from Documentation/ABI/configfs-nvtgt, so that the page
# never lacks an attribute. Knows the few forms of markup that the file has:
# underlined titles, "NAME [FLAG]" with its text behind a tab, "- " lists,
# tables between lines of "=", and ``literals``.

function text(s) {
	gsub(/\\/, "\\e", s)
	while (match(s, /``[^`]*``/))
		s = substr(s, 1, RSTART - 1) "\\fB" \
		    substr(s, RSTART + 2, RLENGTH - 4) "\\fR" \
		    substr(s, RSTART + RLENGTH)
	sub(/^[.']/, "\\\\\\&&", s)
	return s
}

function close_list() {
	if (list)
		print ".El"
	list = ""
}

function open_list(kind) {
	if (list == kind)
		return
	close_list()
	print ".Bl " kind
	list = kind
}

{ line[NR] = $0 }

END {
	print ".\\\" SPDX-License-Identifier: GPL-2.0"
	print ".\\\" made by tools/man/attributes.awk"
	print ".Dd November 20, 2026\n.Dt NVTGT-ATTRIBUTES 5\n.Os Linux"
	print ".Sh NAME\n.Nm nvtgt-attributes"
	print ".Nd attributes of the NVMe target nvtgt in configfs"
	print ".Sh SYNOPSIS\n.Pa /sys/kernel/config/nvtgt"
	print ".Sh DESCRIPTION"
	print ".Xr nvtgtctl 8\nsets these attributes by name."
	table = 0
	for (i = 3; i <= NR; i++) {
		s = line[i]
		if (line[i + 1] ~ /^[=-]+$/ && length(line[i + 1]) > 3) {
			close_list()
			if (line[i + 1] ~ /^-/)
				print ".Ss " text(s)
			i++
			fresh = 1
		} else if (s ~ /^[ \t]*==+  /) {
			table++
			if (table == 1)
				print ".Bd -literal"
			if (table == 3) {
				print ".Ed"
				table = 0
				fresh = 1
			}
		} else if (table) {
			sub(/^\t/, "", s)
			print text(s)
		} else if (s == "") {
			if (!fresh && line[i + 1] ~ /^(\t|[^- ])/ &&
			    !(line[i + 1] ~ /^[^\t]/ && line[i + 2] ~ /^(\t|[=-][=-][=-][=-])/))
				print ".Pp"
		} else if (s !~ /^[\t ]/ && line[i + 1] ~ /^\t/) {
			open_list("-tag -width Ds")
			print ".It Cm " s
			fresh = 1
		} else if (s ~ /^- /) {
			open_list("-bullet")
			print ".It\n" text(substr(s, 3))
			fresh = 1
		} else {
			if (s ~ /^[^\t ]/)
				close_list()
			sub(/^[\t ]+/, "", s)
			print text(s)
			fresh = 0
		}
	}
	close_list()
	print ".Sh SEE ALSO\n.Xr nvtgt-config 5 ,\n.Xr nvtgtctl 8"
}
