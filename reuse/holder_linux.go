package reuse

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// socketOwners finds, by /proc/PID/fd (proc(5)), which processes have which of
// the sockets open. What may not be read is left out.
func socketOwners(inodes []uint64) map[uint64][]Process {
	wanted := map[string]uint64{}
	for _, n := range inodes {
		if n != 0 {
			wanted["socket:["+strconv.FormatUint(n, 10)+"]"] = n
		}
	}
	owners := map[uint64][]Process{}
	if len(wanted) == 0 {
		return owners
	}
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return owners
	}
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		for inode := range socketsOf(pid, wanted) {
			owners[inode] = append(owners[inode], Process{PID: pid, Name: commandOf(pid)})
		}
	}
	return owners
}

// socketsOf returns those of the wanted sockets that the process has open.
func socketsOf(pid int, wanted map[string]uint64) map[uint64]bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	found := map[uint64]bool{}
	for _, fd := range fds {
		link, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			continue
		}
		if inode, ok := wanted[link]; ok {
			found[inode] = true
		}
	}
	return found
}

func commandOf(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}
