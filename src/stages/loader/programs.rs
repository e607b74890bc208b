//! Which programs of the object a front end consists of.

use anyhow::{Context, Result, anyhow};
use libbpf_rs::ProgramMut;
use libbpf_rs::btf::types::{Func, FuncProto, Typedef};
use libbpf_rs::btf::{Btf, ReferencesType};

use super::features::Features;
use super::ladder::FrontEnd;
use super::skel::agent::{AgentProgs, OpenAgentSkel};

/// Switches the programs and maps of `front_end` on and all others off.
pub(super) fn choose(
    open: &mut OpenAgentSkel<'_>,
    front_end: FrontEnd,
    features: Features,
) -> Result<()> {
    let tracepoint = front_end == FrontEnd::Tracepoint;
    let fentry = front_end == FrontEnd::Fentry;
    let kprobe = front_end == FrontEnd::Kprobe;
    let functions = match tracepoint {
        true => SocketFunctions::default(),
        false => SocketFunctions::find()?,
    };
    open.maps.mmsg_by_task.set_autocreate(tracepoint).context("leave out a map")?;
    open.maps.call_by_tid.set_autocreate(kprobe).context("leave out a map")?;
    if kprobe {
        // Before 6.1 the kernel warns of kprobe programs with maps that are filled as needed.
        open.maps.sel_by_tgid.set_map_flags(0).context("preallocate a map")?;
        open.maps.judged_by_tgid.set_map_flags(0).context("preallocate a map")?;
    }
    let rodata = open.maps.rodata_data.as_deref_mut().context("the object has no rodata")?;
    rodata.cfg.untyped = kprobe.into();
    let p = &mut open.progs;
    p.obi_it_file.set_autoload(features.sock_from_file);
    p.obi_tp_send.set_autoload(tracepoint);
    p.obi_tp_recv.set_autoload(tracepoint);
    for (program, wanted) in [
        (&mut p.obi_fx_send, true),
        (&mut p.obi_fx_usend, true),
        (&mut p.obi_fx_urecv, true),
        (&mut p.obi_fx_usplice, true),
        (&mut p.obi_fx_urelease, true),
        (&mut p.obi_fx_recv4, functions.recv_parameters == 4),
        (&mut p.obi_fx_recv5, functions.recv_parameters == 5),
        (&mut p.obi_fx_recv6, functions.recv_parameters == 6),
        (&mut p.obi_fx_sendpage, functions.has_sendpage),
        (&mut p.obi_fx_usendpg, functions.has_sendpage),
    ] {
        program.set_autoload(fentry && wanted);
    }
    for (program, wanted) in [
        (&mut p.obi_kp_send, true),
        (&mut p.obi_kp_recv, functions.recv_parameters < 6),
        (&mut p.obi_kp_recv6, functions.recv_parameters == 6),
        (&mut p.obi_kp_sendpage, functions.has_sendpage),
        (&mut p.obi_kp_splice, true),
        (&mut p.obi_kp_unlock, true),
        (&mut p.obi_kp_usend, true),
        (&mut p.obi_kp_usendpg, functions.has_sendpage),
        (&mut p.obi_kp_usplice, true),
        (&mut p.obi_kp_urecv, true),
        (&mut p.obi_kp_readable, true),
        (&mut p.obi_kp_received, functions.has_recv_tracepoint),
        (&mut p.obi_kp_consume, !functions.has_recv_tracepoint),
        (&mut p.obi_kp_urelease, true),
    ] {
        program.set_autoload(kprobe && wanted);
    }
    Ok(())
}

/// Shapes of kernel functions that changed over time, from the kernel's BTF.
#[derive(Clone, Copy, Debug, Default)]
struct SocketFunctions {
    /// Of `tcp_recvmsg`: 4 to 6.
    recv_parameters: usize,
    has_sendpage: bool,
    has_recv_tracepoint: bool,
}

impl SocketFunctions {
    fn find() -> Result<Self> {
        let btf = Btf::from_vmlinux().context("read the kernel's BTF")?;
        let recv: Func<'_> = btf.type_by_name("tcp_recvmsg").context("no tcp_recvmsg in BTF")?;
        let proto = FuncProto::try_from(recv.referenced_type())
            .map_err(|_| anyhow!("tcp_recvmsg has no prototype in BTF"))?;
        let recv_parameters = proto.iter().count();
        if !(4..=6).contains(&recv_parameters) {
            return Err(anyhow!("tcp_recvmsg has {recv_parameters} parameters, not 4 to 6"));
        }
        let tracepoint = btf.type_by_name::<Typedef<'_>>("btf_trace_sock_recv_length");
        Ok(Self {
            recv_parameters,
            has_sendpage: btf.type_by_name::<Func<'_>>("tcp_sendpage").is_some(),
            has_recv_tracepoint: tracepoint.is_some(),
        })
    }
}

/// Those that see processes first, then those that see data.
pub(super) fn attached<'a>(p: &'a AgentProgs<'_>, front_end: FrontEnd) -> Vec<&'a ProgramMut<'a>> {
    let mut all = vec![&p.obi_fork, &p.obi_exec, &p.obi_exit, &p.obi_tcp_state];
    match front_end {
        FrontEnd::Tracepoint => all.extend([&p.obi_tp_send, &p.obi_tp_recv]),
        FrontEnd::Fentry => all.extend([
            &p.obi_fx_send,
            &p.obi_fx_recv4,
            &p.obi_fx_recv5,
            &p.obi_fx_recv6,
            &p.obi_fx_sendpage,
            &p.obi_fx_usend,
            &p.obi_fx_usendpg,
            &p.obi_fx_urecv,
            &p.obi_fx_usplice,
            &p.obi_fx_urelease,
        ]),
        // What tells that bytes moved comes first: a call is noted only when it is there.
        FrontEnd::Kprobe => all.extend([
            &p.obi_kp_unlock,
            &p.obi_kp_readable,
            &p.obi_kp_received,
            &p.obi_kp_consume,
            &p.obi_kp_urelease,
            &p.obi_kp_send,
            &p.obi_kp_recv,
            &p.obi_kp_recv6,
            &p.obi_kp_sendpage,
            &p.obi_kp_splice,
            &p.obi_kp_usend,
            &p.obi_kp_usendpg,
            &p.obi_kp_usplice,
            &p.obi_kp_urecv,
        ]),
    }
    all
}
