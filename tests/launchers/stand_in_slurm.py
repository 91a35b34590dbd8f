"""sbatch, srun, sacct and scancel for a machine without SLURM, as far as submitit uses them."""

from __future__ import annotations

from pathlib import Path

SBATCH = """#!/bin/bash
mkdir -p ROOT/jobs
id=$(( $(ls ROOT/jobs | wc -l) + 1 ))
mkdir ROOT/jobs/$id
cp "${@: -1}" ROOT/jobs/$id/script
echo RUNNING > ROOT/jobs/$id/state
export SLURM_JOB_ID=$id SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_JOB_NODELIST=here
export SLURM_PROCID=0 SLURM_LOCALID=0
setsid bash -c "bash ROOT/jobs/$id/script; echo COMPLETED > ROOT/jobs/$id/state" < /dev/null > /dev/null 2>&1 &
echo $! > ROOT/jobs/$id/pid
echo "Submitted batch job $id"
"""

SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do
    case $1 in
        --output) out=${2//%j/$SLURM_JOB_ID}; shift 2;;
        --error) err=${2//%j/$SLURM_JOB_ID}; shift 2;;
        *) shift;;
    esac
done
exec "$@" > "${out//%t/0}" 2> "${err//%t/0}"
"""

SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
for job in ROOT/jobs/*; do echo "$(basename $job)|$(cat $job/state)|here"; done
"""

SCANCEL = """#!/bin/bash
echo CANCELLED > ROOT/jobs/$1/state
kill -9 -- -$(cat ROOT/jobs/$1/pid)
"""


def install(folder: Path) -> Path:
    """Write the four commands; return the folder to put on the path."""
    for name, text in (("sbatch", SBATCH), ("srun", SRUN), ("sacct", SACCT), ("scancel", SCANCEL)):
        path = folder / "bin" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROOT", str(folder)))
        path.chmod(0o755)
    return folder / "bin"
