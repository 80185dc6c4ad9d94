"""Where the lab keeps what, and its configuration files."""

import json
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path

NODES = ("n1", "n2", "n3", "n4")
GPU_NODES = NODES[:2]
GPUS = 2  # of each such node, not real
CPUS, MEMORY_MB = 4, 64000  # of each node, whatever the machine has
ACCOUNT = "lab"
# Debian has these users everywhere; tests of several users run as them.
USERS = ("root", "www-data", "backup")
SERVICES = ("slurmctld", "slurmdbd", "mariadbd", *NODES)


@dataclass(frozen=True)
class Layout:
    """The lab's folder and the port of every service."""

    root: Path
    ports: dict[str, int]

    @classmethod
    def new(cls, root: Path) -> "Layout":
        """Lay out an empty folder, with ports that nothing listens on now."""
        for name in ("etc", "run", "log", "state", "dev", *_spools()):
            (root / name).mkdir(parents=True)
        ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        (root / "ports.json").write_text(json.dumps(ports))
        return cls(root, ports)

    @classmethod
    def read(cls, root: Path) -> "Layout":
        """The layout of a lab that is there."""
        return cls(root, json.loads((root / "ports.json").read_text()))

    @property
    def slurm_conf(self) -> Path:
        return self.root / "etc/slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.root / "run/munge.socket"

    def pid_file(self, service: str) -> Path:
        """Where a service (`munged`, or one of `SERVICES`) writes its process id."""
        return self.root / f"run/{service}.pid"

    def write(self) -> None:
        """Write all configuration files, and the devices that stand for GPUs."""
        etc = self.root / "etc"
        self.slurm_conf.write_text(self._slurm_conf())
        (etc / "gres.conf").write_text(self._gres_conf())
        (etc / "my.cnf").write_text(self._my_cnf())
        dbd = etc / "slurmdbd.conf"
        dbd.touch(0o600)
        dbd.write_text(self._slurmdbd_conf())
        for index in range(GPUS):  # SLURM wants character devices: twins of /dev/null
            os.mknod(self.root / f"dev/gpu{index}", 0o20666, os.makedev(1, 3))

    def _slurm_conf(self) -> str:
        host = socket.gethostname().split(".")[0]
        nodes = "\n".join(self._node(name, host) for name in NODES)
        return f"""\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={self.ports["slurmctld"]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# cred_expire is also how long a requeued job is held back; 120 s if not said.
AuthInfo=socket={self.munge_socket},cred_expire=10
StateSaveLocation={self.root}/state
SlurmctldPidFile={self.pid_file("slurmctld")}
SlurmctldLogFile={self.root}/log/slurmctld.log
SlurmdPidFile={self.root}/run/%n.pid
SlurmdLogFile={self.root}/log/%n.log
SlurmdSpoolDir={self.root}/spool/%n

# Neither systemd nor cgroups: memory is polled, and what exceeds it is killed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SwitchType=switch/none

# The node lines count, not the hardware.
SlurmdParameters=config_overrides
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=200
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
KillWait=10
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5,sched_interval=5
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# A pre-empted job gets its --signal, too, GraceTime before it ends.
SlurmctldParameters=preempt_send_user_signal

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={self.ports["slurmdbd"]}
AccountingStoragePass={self.munge_socket}
AccountingStorageEnforce=associations
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment

{nodes}
PartitionName=DEFAULT Nodes=ALL MaxTime=4320 DefaultTime=5 State=UP
PartitionName=cpu Default=YES PriorityTier=10 PreemptMode=off
PartitionName=gpu Nodes={",".join(GPU_NODES)} PriorityTier=10 PreemptMode=off
PartitionName=preempt PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
"""

    def _node(self, name: str, host: str) -> str:
        gpus = f"Gres=gpu:fake:{GPUS} " if name in GPU_NODES else ""
        return (
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 "
            f"Port={self.ports[name]} CPUs={CPUS} RealMemory={MEMORY_MB} "
            f"{gpus}State=UNKNOWN"
        )

    def _gres_conf(self) -> str:
        devices = f"{self.root}/dev/gpu[0-{GPUS - 1}]"
        nodes = ",".join(GPU_NODES)
        return f"AutoDetect=off\nNodeName={nodes} Name=gpu Type=fake File={devices}\n"

    def _slurmdbd_conf(self) -> str:
        return f"""\
AuthType=auth/munge
AuthInfo=socket={self.munge_socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self.ports["slurmdbd"]}
CommunicationParameters=NoInAddrAny
SlurmUser=root
LogFile={self.root}/log/slurmdbd.log
PidFile={self.pid_file("slurmdbd")}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={self.ports["mariadbd"]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""

    def _my_cnf(self) -> str:
        return f"""\
[mariadbd]
user=root
datadir={self.root}/db
socket={self.root}/run/mariadb.sock
pid-file={self.pid_file("mariadbd")}
log-error={self.root}/log/mariadbd.log
bind-address=127.0.0.1
port={self.ports["mariadbd"]}
innodb_buffer_pool_size=32M
innodb_log_file_size=8M
innodb_flush_log_at_trx_commit=2
innodb_lock_wait_timeout=900
performance_schema=OFF
skip-name-resolve
"""


def _spools() -> list[str]:
    return [f"spool/{node}" for node in NODES]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now, below those of outgoing connections."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20000, 30000), 1000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free ports between 20000 and 30000")
