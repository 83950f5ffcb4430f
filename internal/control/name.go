package control

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	prefix      = "@handover/"
	suffix      = ".sock"
	maxService  = 64
	instanceLen = 16
	// maxSocketName is what sun_path holds: 108 bytes less the NUL that
	// begins an abstract name and ends a path.
	maxSocketName = 107
)

// Peer is the control socket of an agent, as found. UID is what its name says;
// who really owns it is seen by connecting.
type Peer struct {
	Name     string // of the socket: "@handover/<uid>/<service>/<instance>", or a path
	UID      int
	Service  string
	Instance string
}

// String returns the socket's name.
func (p Peer) String() string { return p.Name }

// ValidateName returns an error that names the rule if service cannot be the
// name of a service: 1 to 64 of the characters A-Z a-z 0-9 . _ : [ ] and -.
func ValidateName(service string) error {
	if service == "" {
		return errors.New("service name is empty: choose one of 1 to 64 characters")
	}
	if len(service) > maxService {
		return fmt.Errorf("service name %.20q... is %d bytes long: at most %d fit in a socket name", service, len(service), maxService)
	}
	for _, r := range service {
		if !nameRune(r) {
			return fmt.Errorf("service name %q contains %q: only A-Z a-z 0-9 . _ : [ ] and - are allowed", service, r)
		}
	}
	return nil
}

func nameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._:[]-", r)
}

// NewInstance returns a random name for a process: 16 hexadecimal digits. A
// pid would not do: in a container everyone is 1.
func NewInstance() string {
	var b [instanceLen / 2]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func validInstance(s string) bool {
	return len(s) == instanceLen && strings.Trim(s, "0123456789abcdef") == ""
}

// newPeer names a socket of this process. With a directory its name is a path there.
func newPeer(service, instance, dir string) (Peer, error) {
	if err := ValidateName(service); err != nil {
		return Peer{}, err
	}
	if !validInstance(instance) {
		return Peer{}, fmt.Errorf("instance %q is not %d lower-case hexadecimal digits", instance, instanceLen)
	}
	p := Peer{UID: os.Geteuid(), Service: service, Instance: instance}
	p.Name = fmt.Sprintf("%s%d/%s/%s", prefix, p.UID, service, instance)
	if dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return Peer{}, err
		}
		p.Name = filepath.Join(abs, service+"."+instance+suffix)
	}
	if len(p.Name) > maxSocketName {
		return Peer{}, fmt.Errorf("socket name %s is %d bytes long, and the kernel takes %d: choose a shorter directory or service name",
			p.Name, len(p.Name), maxSocketName)
	}
	return p, nil
}

// parseAbstract reads a name as newPeer writes it, and nothing else: a name
// has one spelling, so that one socket is never taken for two.
func parseAbstract(name string) (Peer, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok || len(name) > maxSocketName {
		return Peer{}, false
	}
	uid, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return Peer{}, false
	}
	service, instance, ok := strings.Cut(rest, "/")
	if !ok || ValidateName(service) != nil || !validInstance(instance) {
		return Peer{}, false
	}
	n, err := strconv.ParseUint(uid, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != uid || int64(int(n)) != int64(n) {
		return Peer{}, false
	}
	return Peer{Name: name, UID: int(n), Service: service, Instance: instance}, true
}

// parsePath reads the file name of a socket in a runtime directory of uid.
func parsePath(dir, file string, uid int) (Peer, bool) {
	base, ok := strings.CutSuffix(file, suffix)
	dot := len(base) - instanceLen - 1
	if !ok || dot < 1 || base[dot] != '.' {
		return Peer{}, false
	}
	service, instance := base[:dot], base[dot+1:]
	if ValidateName(service) != nil || !validInstance(instance) {
		return Peer{}, false
	}
	return Peer{Name: filepath.Join(dir, file), UID: uid, Service: service, Instance: instance}, true
}
