package reuse

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// socketOwners finds, by /proc/PID/fd (proc(5)), which processes have which of
// the sockets open. What may not be read is left out.
func socketOwners(inodes []uint64) map[uint64][]Process {
	wanted := socketLinks(inodes)
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

// socketsHeld counts the sockets that the processes have open.
func socketsHeld(inodes []uint64, processes []Process) int {
	wanted := socketLinks(inodes)
	held := map[uint64]bool{}
	for _, p := range processes {
		maps.Copy(held, socketsOf(p.PID, wanted))
	}
	return len(held)
}

// socketLinks maps what the links in /proc/PID/fd say to the sockets' inodes.
func socketLinks(inodes []uint64) map[string]uint64 {
	links := make(map[string]uint64, len(inodes))
	for _, n := range inodes {
		if n != 0 { // a socket that belongs to no file
			links["socket:["+strconv.FormatUint(n, 10)+"]"] = n
		}
	}
	return links
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
